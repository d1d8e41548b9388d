//! `--wait`: polls until there is a text.

use std::thread;
use std::time::{Duration, Instant};

use shm_core::Errno;
use shm_frame::{Error, FrameError, Result};

use crate::args::Args;

/// The polling interval. The kernel does not report new shared memory.
const INTERVAL: Duration = Duration::from_millis(10);

/// Returns whether there is nothing to read yet, or it was removed before it was attached.
fn is_absence(error: &Error) -> bool {
    match error {
        Error::Frame { error, .. } => matches!(error, FrameError::Blank | FrameError::Empty(_)),
        Error::Call(shm_core::Error::Attach { errno, .. }) => {
            matches!(*errno, Errno::EINVAL | Errno::EIDRM)
        }
        Error::Call(error) => error.errno() == Some(Errno::ENOENT),
    }
}

/// Returns the result of `get`. With `--wait`, retries until it exists and is not empty.
pub(crate) fn wait<T>(
    args: &Args,
    get: impl Fn() -> Result<T>,
    is_empty: impl Fn(&T) -> Result<bool>,
) -> Result<T> {
    let Some(seconds) = args.wait else { return get() };
    // A limit that does not fit into a clock's range means no limit.
    let limit = Duration::try_from_secs_f64(seconds).ok();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let answer = get();
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &answer {
            Ok(found) if late || !is_empty(found)? => return answer,
            Err(error) if late || !is_absence(error) => return answer,
            _ => thread::sleep(INTERVAL),
        }
    }
}
