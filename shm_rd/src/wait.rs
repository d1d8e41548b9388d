//! `--wait`: polls until there is a text.

use std::thread;
use std::time::{Duration, Instant};

use shm_core::{Errno, Error};
use shm_frame::FrameError;

use crate::args::Args;

/// The polling interval. The kernel does not report new shared memory.
const INTERVAL: Duration = Duration::from_millis(10);

/// An error that may mean that there is nothing to read yet.
pub(crate) trait Absence {
    /// Returns whether there is nothing to read yet, or it was removed before it was attached.
    fn is_absence(&self) -> bool;
}

impl Absence for Error {
    fn is_absence(&self) -> bool {
        match self {
            Self::Attach { errno, .. } => matches!(*errno, Errno::EINVAL | Errno::EIDRM),
            _ => self.errno() == Some(Errno::ENOENT),
        }
    }
}

impl Absence for shm_frame::Error {
    fn is_absence(&self) -> bool {
        match self {
            Self::Call(error) => error.is_absence(),
            Self::Frame { error, .. } => {
                matches!(error, FrameError::Blank | FrameError::Empty(_))
            }
        }
    }
}

/// Returns the result of `get`. With `--wait`, retries until it exists and is not empty.
pub(crate) fn wait<T, E: Absence>(
    args: &Args,
    get: impl Fn() -> Result<T, E>,
    is_empty: impl Fn(&T) -> Result<bool, E>,
) -> Result<T, E> {
    let Some(seconds) = args.wait else { return get() };
    // A limit that does not fit into a clock's range means no limit.
    let limit = Duration::try_from_secs_f64(seconds).ok();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let answer = get();
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &answer {
            Ok(found) if late || !is_empty(found)? => return answer,
            Err(error) if late || !error.is_absence() => return answer,
            _ => thread::sleep(INTERVAL),
        }
    }
}
