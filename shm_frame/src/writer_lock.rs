//! The lock of the writers: a semaphore with the segment's key.
//!
//! Other programs also have semaphores with the key of a segment. Most of these are a set of one that
//! is 0 while the lock is held: to wait for 0 and add 1 would unlock it. So the lock is the first
//! semaphore of a set of [`COUNT`], a size that no other program uses, and sets of another size are
//! not touched.
//!
//! The semaphore counts the writers that hold the lock: 0 or 1. To take it is one `semop(2)` of two
//! operations, wait for 0 and add 1; the kernel does both or neither. Linux makes a set with zeroes
//! (`semget(2)`), so it needs no initialization after it is made. With `SEM_UNDO` the kernel releases
//! the lock when the process ends.
//!
//! Only the holder of the lock makes, marks and removes the segment, and removes the set. A writer
//! that waits for a set which is removed gets `EIDRM` and looks for the key again. A writer that holds
//! the lock therefore has the only set and the only segment.

use std::time::{Duration, Instant};

use shm_core::{Errno, Key, SemaphoreSet};

use crate::error::{Error, FrameError, LockHolder, Result};

/// The semaphore's number in its set, the only one that is used.
const LOCK: u16 = 0;
/// How many semaphores the set has. Other locks are sets of one, of three for a buffer, or of a round
/// number.
const COUNT: usize = 13;

/// The lock, released when dropped.
#[derive(Debug)]
pub(super) struct WriterLock {
    set: SemaphoreSet,
    /// Whether this call made the set.
    made: bool,
}

impl WriterLock {
    /// Waits for the lock at most `limit`. Makes the set with the permission bits `mode` if there is
    /// none.
    pub(super) fn take(key: Key, mode: u32, limit: Duration) -> Result<Self> {
        Self::wait(key, limit, || {
            loop {
                match SemaphoreSet::create_new(key, COUNT, mode) {
                    Err(error) if error.errno() == Some(Errno::EEXIST) => {}
                    new => return Ok((new?, true)),
                }
                match find(key, SemaphoreSet::open_writable) {
                    // Another process removed it between the two calls.
                    Err(error) if error.errno() == Some(Errno::ENOENT) => {}
                    found => return Ok((found?, false)),
                }
            }
        })
    }

    /// Waits for the lock at most `limit`. The set must exist.
    pub(super) fn take_existing(key: Key, limit: Duration) -> Result<Self> {
        Self::wait(key, limit, || Ok((find(key, SemaphoreSet::open_writable)?, false)))
    }

    fn wait(
        key: Key,
        limit: Duration,
        get: impl Fn() -> Result<(SemaphoreSet, bool)>,
    ) -> Result<Self> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let (set, made) = get()?;
            let Err(error) = set.operate_with_undo(&[(LOCK, 0), (LOCK, 1)], left) else {
                return Ok(Self { set, made });
            };
            match error.errno() {
                Some(Errno::EAGAIN) => {
                    let holder = match set.last_pid(LOCK.into()) {
                        Ok(Some(pid)) => LockHolder::Process(pid),
                        Ok(None) => LockHolder::OtherPidNamespace,
                        Err(error) => LockHolder::Unknown(error.errno().unwrap_or(Errno::EIO)),
                    };
                    return Err(Error::Frame { key, error: FrameError::Busy { limit, holder } });
                }
                Some(Errno::EINTR) => {}
                // The set was removed. There may be another one.
                Some(Errno::EIDRM | Errno::EINVAL) if !left.is_zero() => {}
                _ => return Err(error.into()),
            }
        }
    }

    /// Whether a process holds the lock; `None` if this process cannot find out: the set is gone, or
    /// its mode forbids reading.
    pub(super) fn is_taken(key: Key) -> Option<bool> {
        let set = find(key, SemaphoreSet::open).ok()?;
        set.value(LOCK.into()).ok().map(|value| value != 0)
    }

    /// Removes a set without taking the lock, for an owner whom the mode does not let take it.
    pub(super) fn remove_unusable(key: Key) -> Result<()> {
        Ok(find(key, SemaphoreSet::find)?.remove()?)
    }

    /// Removes the set if this call made it. The caller reports why there is no frame.
    pub(super) fn remove_if_made(self) {
        if self.made {
            let _ = self.remove();
        }
    }

    /// Removes the set. Processes that wait for the lock look for another set.
    pub(super) fn remove(self) -> Result<()> {
        Ok(self.set.remove()?)
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // This fails only if the set was removed, and then no process waits for it.
        let _ = self.set.operate_with_undo(&[(LOCK, -1)], Duration::ZERO);
    }
}

/// Finds the set and checks that it is the lock of a frame. As long as the set exists the key means
/// this set, so both calls are about the same one.
fn find(
    key: Key,
    open: impl FnOnce(Key, usize) -> shm_core::Result<SemaphoreSet>,
) -> Result<SemaphoreSet> {
    let foreign = Error::Frame { key, error: FrameError::NotALock(key) };
    match open(key, COUNT) {
        // It has fewer semaphores.
        Err(error) if error.errno() == Some(Errno::EINVAL) => Err(foreign),
        Err(error) => Err(error.into()),
        Ok(_) if SemaphoreSet::find(key, COUNT + 1).is_ok() => Err(foreign),
        Ok(set) => Ok(set),
    }
}
