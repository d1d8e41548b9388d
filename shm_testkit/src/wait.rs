//! Waiting for other processes.

use std::thread;
use std::time::{Duration, Instant};

/// How long [`until`] waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls `look` until it returns a value, for at most ten seconds, and returns that value.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "still no {what} after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
