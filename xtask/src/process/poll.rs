//! Polls for a condition.

use std::thread;
use std::time::{Duration, Instant};

use crate::process::interrupt::Interrupt;

/// Calls `check` every `interval` until it returns a value. Returns `None` at `deadline` or after a
/// signal, and the first error of `check`. Calls `check` at least once, and once more after a signal,
/// so that a command in it fails with that signal.
pub(crate) fn poll_until<T, E>(
    interval: Duration,
    deadline: Instant,
    interrupt: &Interrupt,
    mut check: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    loop {
        let is_interrupted = interrupt.signal().is_some();
        if let Some(value) = check()? {
            return Ok(Some(value));
        }
        if is_interrupted || Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(interval);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::{Duration, Instant};

    use super::poll_until;
    use crate::process::interrupt::Interrupt;

    const INTERVAL: Duration = Duration::from_millis(5);

    #[test]
    fn a_value_or_an_error_ends_the_wait() {
        let later = Instant::now() + Duration::from_mins(1);
        let mut calls = 0;
        let mut third = |result: Result<Option<u8>, &'static str>| {
            poll_until(INTERVAL, later, &Interrupt::default(), || {
                calls += 1;
                if calls % 3 == 0 { result } else { Ok(None) }
            })
        };
        assert_eq!(third(Ok(Some(7))), Ok(Some(7)));
        assert_eq!(third(Err("why")), Err("why"));
        assert_eq!(calls, 6);
    }

    #[test]
    fn the_deadline_ends_the_wait_and_a_past_deadline_allows_one_check() {
        let started = Instant::now();
        let mut calls = 0;
        let mut nothing = |deadline| {
            poll_until(INTERVAL, deadline, &Interrupt::default(), || {
                calls += 1;
                Ok::<Option<()>, Infallible>(None)
            })
        };
        assert_eq!(nothing(started), Ok(None));
        assert_eq!(nothing(started + 3 * INTERVAL), Ok(None));
        assert!(started.elapsed() >= 3 * INTERVAL && calls > 2, "{calls}");
    }
}
