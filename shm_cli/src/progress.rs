//! The progress of a long transfer, on a terminal.

use std::fmt::Write;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressFinish, ProgressState, ProgressStyle};

/// The time after which a transfer shows its progress.
const DELAY: Duration = Duration::from_secs(1);

/// Shows how many bytes were transferred, after one second, if standard error is a terminal that can
/// move its cursor (not if `TERM` is unset or `dumb`). Do not use it for text that also goes to a
/// terminal.
#[derive(Debug)]
pub struct Progress {
    total: Option<u64>,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts the clock. `total` is the number of bytes, if it is known.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        Self { total, started: Instant::now(), bar: None }
    }

    /// Records that `done` bytes were transferred.
    pub fn reached(&mut self, done: u64) {
        if self.bar.is_none() {
            let elapsed = self.started.elapsed();
            self.bar = (elapsed >= DELAY).then(|| bar(self.total, elapsed));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }
}

fn bar(total: Option<u64>, elapsed: Duration) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{binary_bytes} of {binary_total_bytes}, {percent}%, {speed}")
        }
        None => (ProgressBar::no_length(), "{binary_bytes}, {speed}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    // indicatif's own speed does not know of the time before the bar was made.
    let style = style.with_key("speed", |state: &ProgressState, out: &mut dyn Write| {
        let milliseconds = state.elapsed().as_millis().max(1);
        let speed = u128::from(state.pos()) * 1000 / milliseconds;
        let speed = BinaryBytes(u64::try_from(speed).unwrap_or(u64::MAX));
        // Writing to a String cannot fail.
        let _ = write!(out, "{speed}/s");
    });
    bar.with_style(style).with_elapsed(elapsed).with_finish(ProgressFinish::AndClear)
}
