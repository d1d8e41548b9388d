//! How often a reader tries again, and when it gives up.

use std::time::{Duration, Instant};

use super::protocol::TryReadError;

/// So long it is tried, whatever is the matter. The attempt that is under way is gone through with.
const PATIENCE: Duration = Duration::from_secs(1);
/// So often, where no message is published meanwhile.
const ATTEMPTS: u32 = 100;
/// What is damaged stays so: it is copied once more, in case that somebody wrote past the protocol.
const DAMAGES: u32 = 2;

/// The end of all attempts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RetriesExhausted {
    /// Why the last one gave no message.
    pub(super) miss: TryReadError,
    pub(super) attempts: u32,
    /// How long it was tried behind the first one.
    pub(super) time: Duration,
    /// Whether a message was published in that time.
    pub(super) moved_on: bool,
}

/// Tries again after the first `miss`.
pub(super) fn retry(
    mut miss: TryReadError,
    generation: impl Fn() -> u64,
    mut read: impl FnMut() -> Result<u64, TryReadError>,
) -> Result<u64, RetriesExhausted> {
    let (start, first) = (Instant::now(), generation());
    let damage = |miss| u32::from(miss != TryReadError::Overtaken);
    let (mut attempts, mut damages) = (1, damage(miss));
    loop {
        let (time, moved_on) = (start.elapsed(), generation() != first);
        if damages >= DAMAGES || time >= PATIENCE || (attempts >= ATTEMPTS && !moved_on) {
            return Err(RetriesExhausted { miss, attempts, time, moved_on });
        }
        match read() {
            Ok(generation) => return Ok(generation),
            Err(another) => miss = another,
        }
        attempts += 1;
        damages += damage(miss);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::thread;
    use std::time::Duration;

    use super::{RetriesExhausted, retry};
    use crate::frame::protocol::TryReadError;

    #[test]
    fn what_is_damaged_is_read_twice_in_all() {
        for miss in [TryReadError::Checksum, TryReadError::TooLong(1), TryReadError::OutOfMemory(1)]
        {
            let given_up = retry(miss, || 1, || Err(miss)).unwrap_err();
            assert_eq!((given_up.miss, given_up.attempts), (miss, 2));
        }
        let mut misses =
            [TryReadError::Checksum, TryReadError::Overtaken, TryReadError::Checksum].into_iter();
        let given_up =
            retry(TryReadError::Overtaken, || 1, || Err(misses.next().unwrap())).unwrap_err();
        assert_eq!((given_up.miss, given_up.attempts), (TryReadError::Checksum, 4));
    }

    #[test]
    fn a_reader_that_is_overtaken_by_nobody_tries_a_hundred_times() {
        let given_up =
            retry(TryReadError::Overtaken, || 1, || Err(TryReadError::Overtaken)).unwrap_err();
        assert_eq!((given_up.attempts, given_up.moved_on), (100, false));
    }

    #[test]
    fn an_attempt_that_succeeds_ends_it_however_many_came_before() {
        let attempts = Cell::new(1);
        let read = || {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 500 { Ok(7) } else { Err(TryReadError::Overtaken) }
        };
        assert_eq!(retry(TryReadError::Overtaken, || attempts.get(), read), Ok(7));
    }

    #[test]
    fn attempts_that_take_long_are_few() {
        let read = || {
            thread::sleep(Duration::from_millis(600));
            Err(TryReadError::Overtaken)
        };
        let RetriesExhausted { attempts, .. } =
            retry(TryReadError::Overtaken, || 1, read).unwrap_err();
        assert!((2..=3).contains(&attempts), "{attempts}");
    }
}
