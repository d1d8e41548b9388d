//! How often a reader tries again, and when it gives up.

use std::time::{Duration, Instant};

use crate::protocol::TryReadError;

/// No attempt starts later than this.
const TIME_LIMIT: Duration = Duration::from_secs(1);
/// The number of attempts if no message is published meanwhile.
const ATTEMPTS: u32 = 100;
/// The number of attempts to read a damaged message. The second is for a process that writes without
/// the protocol and was not finished.
const DAMAGES: u32 = 2;

/// No attempt gave a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RetriesExhausted {
    pub(super) last_error: TryReadError,
    pub(super) attempts: u32,
    /// The time since the first attempt.
    pub(super) time: Duration,
    /// Whether a message was published in that time.
    pub(super) moved_on: bool,
}

/// Tries again after the first attempt failed with `error`.
pub(super) fn retry(
    mut error: TryReadError,
    generation: impl Fn() -> u64,
    mut read: impl FnMut() -> Result<u64, TryReadError>,
) -> Result<u64, RetriesExhausted> {
    let (start, first) = (Instant::now(), generation());
    let damage = |error| u32::from(error != TryReadError::Overtaken);
    let (mut attempts, mut damages) = (1, damage(error));
    loop {
        let (time, moved_on) = (start.elapsed(), generation() != first);
        if damages >= DAMAGES || time >= TIME_LIMIT || (attempts >= ATTEMPTS && !moved_on) {
            return Err(RetriesExhausted { last_error: error, attempts, time, moved_on });
        }
        match read() {
            Ok(generation) => return Ok(generation),
            Err(another) => error = another,
        }
        attempts += 1;
        damages += damage(error);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::thread;
    use std::time::Duration;

    use super::{RetriesExhausted, retry};
    use crate::protocol::TryReadError;

    #[test]
    fn a_damaged_message_is_read_twice() {
        for error in
            [TryReadError::Checksum, TryReadError::TooLong(1), TryReadError::OutOfMemory(1)]
        {
            let exhausted = retry(error, || 1, || Err(error)).unwrap_err();
            assert_eq!((exhausted.last_error, exhausted.attempts), (error, 2));
        }
        let mut errors =
            [TryReadError::Checksum, TryReadError::Overtaken, TryReadError::Checksum].into_iter();
        let exhausted =
            retry(TryReadError::Overtaken, || 1, || Err(errors.next().unwrap())).unwrap_err();
        assert_eq!((exhausted.last_error, exhausted.attempts), (TryReadError::Checksum, 4));
    }

    #[test]
    fn a_reader_gives_up_after_100_attempts_if_no_message_is_published() {
        let exhausted =
            retry(TryReadError::Overtaken, || 1, || Err(TryReadError::Overtaken)).unwrap_err();
        assert_eq!((exhausted.attempts, exhausted.moved_on), (100, false));
    }

    #[test]
    fn an_attempt_that_succeeds_ends_the_retries() {
        let attempts = Cell::new(1);
        let read = || {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 500 { Ok(7) } else { Err(TryReadError::Overtaken) }
        };
        assert_eq!(retry(TryReadError::Overtaken, || attempts.get(), read), Ok(7));
    }

    #[test]
    fn slow_attempts_end_at_the_time_limit() {
        let read = || {
            thread::sleep(Duration::from_millis(600));
            Err(TryReadError::Overtaken)
        };
        let RetriesExhausted { attempts, .. } =
            retry(TryReadError::Overtaken, || 1, read).unwrap_err();
        assert!((2..=3).contains(&attempts), "{attempts}");
    }
}
