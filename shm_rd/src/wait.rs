//! `--wait`: looks until there is a text.

use std::thread;
use std::time::{Duration, Instant};

use shm_core::frame::FrameError;
use shm_core::{Errno, Error};

use crate::args::Args;

/// How often `--wait` looks: neither mechanism tells when something appears.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What `get` gets, once that is there and not empty if `--wait` says so.
pub(crate) fn wait<T>(
    args: &Args,
    get: impl Fn() -> Result<T, Error>,
    is_empty: impl Fn(&T) -> Result<bool, Error>,
) -> Result<T, Error> {
    let Some(seconds) = args.wait else { return get() };
    // A time that no clock holds is as good as none.
    let limit = Duration::try_from_secs_f64(seconds).ok();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let answer = get();
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &answer {
            Ok(found) if late || !is_empty(found)? => return answer,
            Err(error) if late || !is_absence(error) => return answer,
            _ => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Whether there is nothing to open, or was by the time that a segment which had been found was to
/// be attached.
fn is_absence(error: &Error) -> bool {
    match error {
        Error::Attach { errno, .. } => matches!(*errno, Errno::EINVAL | Errno::EIDRM),
        Error::Frame { flaw, .. } => matches!(flaw, FrameError::Blank | FrameError::Empty(_)),
        _ => error.errno() == Some(Errno::ENOENT),
    }
}
