//! Whose turn it is to write: a semaphore with the segment's key.
//!
//! Other programs have semaphores with the key of a segment too, most of them a set of one that is 0
//! while somebody has the lock: to wait for 0 and add 1 would unlock it. So ours is the first of a set
//! of as many as nobody else makes, and nothing is done to a set of another number.
//!
//! It counts the writers that have the turn: 0 or 1. To take it is one `semop(2)` of two operations,
//! wait for 0 and add 1; the kernel does both or neither. A set is made with zeroes (Linux,
//! `semget(2)`), so that nothing has to be initialised between making it and using it: the race about
//! that, which others tell from `sem_otime`, is not there. With `SEM_UNDO` the kernel takes the 1 back
//! when the process ends, by whatever means.
//!
//! The segment is made, marked and removed by whoever has the turn, and so is the set removed. A
//! writer that waits for a set which is removed gets `EIDRM` and looks for the key again; one that has
//! the turn therefore has the only set and the only segment there are.

use std::time::{Duration, Instant};

use super::error::FrameError;
use crate::{Errno, Error, IpcObject, Key, Result, sys};

/// The semaphore's number in its set, the only one that is used.
const TURN: u16 = 0;
/// How many a set has. Locks are made of one, or of three for a buffer, or of one for each of some
/// things that are counted in round numbers.
const COUNT: i32 = 13;
const CREATE_NEW: i32 = libc::IPC_CREAT | libc::IPC_EXCL;
const READ_WRITE: i32 = 0o666;
const READ: i32 = 0o444;

/// The turn to write, given back when dropped.
#[derive(Debug)]
pub(super) struct WriterLock {
    key: Key,
    id: i32,
    /// Whether the set was made for it.
    made: bool,
}

impl WriterLock {
    /// Waits for the turn at most `limit`; the set is made with the permission bits `mode` where it is
    /// not there.
    pub(super) fn take(key: Key, mode: u32, limit: Duration) -> Result<Self> {
        let make = || sys::semget(key.raw(), COUNT, CREATE_NEW | (mode & 0o777).cast_signed());
        Self::wait(key, limit, || {
            loop {
                match make() {
                    Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(error(key, "semget", errno)),
                    Ok(new) => return Ok((new, true)),
                }
                match find(key, READ_WRITE) {
                    // Removed between the two calls: there is one to be made again.
                    Err(error) if error.errno() == Some(Errno::ENOENT) => {}
                    found => return Ok((found?, false)),
                }
            }
        })
    }

    /// Waits for the turn at most `limit`, of a set that is there.
    pub(super) fn take_existing(key: Key, limit: Duration) -> Result<Self> {
        Self::wait(key, limit, || Ok((find(key, READ_WRITE)?, false)))
    }

    fn wait(key: Key, limit: Duration, get: impl Fn() -> Result<(i32, bool)>) -> Result<Self> {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let (id, made) = get()?;
            match sys::semtimedop(id, &mut [operation(0), operation(1)], left) {
                Ok(()) => return Ok(Self { key, id, made }),
                Err(Errno::EAGAIN) => {
                    let pid = sys::semaphore_pid(id, TURN.into()).ok();
                    let holder = pid.and_then(|pid| u32::try_from(pid).ok());
                    let holder = holder.filter(|pid| *pid != 0);
                    return Err(Error::Frame { key, flaw: FrameError::Busy { limit, holder } });
                }
                Err(Errno::EINTR) => {}
                // The set was removed, and there may be another one.
                Err(Errno::EIDRM | Errno::EINVAL) if !left.is_zero() => {}
                Err(errno) => return Err(error(key, "semtimedop", errno)),
            }
        }
    }

    /// Whether somebody has the turn; `None` where that cannot be told: the set is gone, or not for
    /// this process to read.
    pub(super) fn is_taken(key: Key) -> Option<bool> {
        let id = find(key, READ).ok()?;
        sys::semaphore_value(id, TURN.into()).ok().map(|value| value != 0)
    }

    /// Removes a set without its turn, as its owner can whose mode does not let him take it.
    pub(super) fn remove_unusable(key: Key) -> Result<()> {
        let id = find(key, 0)?;
        sys::remove_semaphores(id).map_err(|errno| error(key, "semctl", errno))
    }

    /// Removes the set if there was none before: whoever made it for nothing leaves nothing.
    pub(super) fn remove_if_made(self) {
        if self.made {
            // What matters is why it was for nothing.
            let _ = self.remove();
        }
    }

    /// Removes the set, and so the turn of everybody that waits for it.
    pub(super) fn remove(self) -> Result<()> {
        sys::remove_semaphores(self.id).map_err(|errno| error(self.key, "semctl", errno))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // The only error there can be is that the set was removed, and then nobody waits.
        let _ = sys::semtimedop(self.id, &mut [operation(-1)], Duration::ZERO);
    }
}

/// The set, if it is a frame's. For as long as the id is good the key means that set and no other, so
/// that what both calls tell goes for whatever is done with the id.
fn find(key: Key, access: i32) -> Result<i32> {
    let foreign = Error::Frame { key, flaw: FrameError::NotALock(key) };
    match sys::semget(key.raw(), COUNT, access) {
        // It has fewer.
        Err(Errno::EINVAL) => Err(foreign),
        Err(errno) => Err(error(key, "semget", errno)),
        Ok(_) if sys::semget(key.raw(), COUNT + 1, 0).is_ok() => Err(foreign),
        Ok(id) => Ok(id),
    }
}

/// Adds to the semaphore, until the process ends at most; 0 waits until it is 0.
fn operation(add: i16) -> libc::sembuf {
    #[expect(clippy::cast_possible_truncation, reason = "a flag of a field of this width")]
    let undo = libc::SEM_UNDO as i16;
    libc::sembuf { sem_num: TURN, sem_op: add, sem_flg: undo }
}

fn error(key: Key, call: &'static str, errno: Errno) -> Error {
    Error::IpcObject { ipc_object: IpcObject::Semaphores(key), call, errno }
}
