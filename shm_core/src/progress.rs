//! The line that a terminal shows while much is moved.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// What takes no longer than this is done before anybody could read a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line changes.
const EVERY: Duration = Duration::from_millis(100);

/// How much has been moved, on standard error where that is a terminal, from a second on. Not for what
/// is shown on a terminal itself: the line would be in the middle of it.
#[derive(Debug)]
pub struct Progress {
    total: Option<u64>,
    started: Instant,
    next: Instant,
    shown: bool,
}

impl Progress {
    /// Starts the clock; `total` in bytes, where it is known.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        let started = Instant::now();
        Self { total, started, next: started + PATIENCE, shown: false }
    }

    /// Tells that so many bytes are done.
    pub fn reached(&mut self, done: u64) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + EVERY;
            if self.shown || io::stderr().is_terminal() {
                self.shown = true;
                show(&format!("\r{}\x1b[K", line(done, self.total, now - self.started)));
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            show("\r\x1b[K");
        }
    }
}

fn show(line: &str) {
    // Nothing is lost with a line about how much there is still to do.
    let _ = io::stderr().write_all(line.as_bytes());
}

fn line(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    const MIB: u64 = 1 << 20;
    let speed = u128::from(done) / elapsed.as_micros().max(1);
    let done_of = match total {
        Some(total) => format!("{} of {} MiB, {}%", done / MIB, total / MIB, percent(done, total)),
        None => format!("{} MiB", done / MIB),
    };
    format!("{done_of}, {speed} MB/s")
}

fn percent(done: u64, total: u64) -> u128 {
    u128::from(done) * 100 / u128::from(total.max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::line;

    #[test]
    fn a_line_says_how_much_and_how_fast() {
        let two_seconds = Duration::from_secs(2);
        let gib = 1 << 30;
        assert_eq!(line(gib / 2, Some(gib), two_seconds), "512 of 1024 MiB, 50%, 268 MB/s");
        assert_eq!(line(gib, None, two_seconds), "1024 MiB, 536 MB/s");
        assert_eq!(line(0, Some(0), Duration::ZERO), "0 of 0 MiB, 0%, 0 MB/s");
    }
}
