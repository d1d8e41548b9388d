//! `--wait`: polls until there is a text.

use std::thread;
use std::time::{Duration, Instant};

use shm_core::{Errno, Error};
use shm_frame::FrameError;

use crate::args::Args;

/// The interval of the polls. The kernel does not notify of new shared memory.
const INTERVAL: Duration = Duration::from_millis(10);

/// An error that `--wait` may wait out.
pub(crate) trait Absence {
    /// Whether there is nothing to open, or it was removed before it was attached.
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

/// Returns what `get` returns; with `--wait`, as soon as that exists and is not empty.
pub(crate) fn wait<T, E: Absence>(
    args: &Args,
    get: impl Fn() -> Result<T, E>,
    is_empty: impl Fn(&T) -> Result<bool, E>,
) -> Result<T, E> {
    let Some(seconds) = args.wait else { return get() };
    // A limit that no clock can hold is no limit.
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
