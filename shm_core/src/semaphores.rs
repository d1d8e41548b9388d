//! System V semaphore sets.

use std::time::Duration;

use crate::sys::{self, CREATE_NEW, READ, READ_WRITE};
use crate::{Access, Errno, Error, IpcObject, Key, Result};

/// A set of semaphores of this process's IPC namespace, by its key and its semid.
///
/// A handle is two numbers: copying it costs nothing and dropping it does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreSet {
    key: Key,
    id: i32,
}

impl SemaphoreSet {
    /// Creates a set of `count` semaphores with the nine permission bits `mode`. Linux sets each
    /// semaphore to 0. `semget(2)` with `IPC_CREAT | IPC_EXCL`.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `EEXIST` if the key is taken; `EINVAL` or `ENOSPC` if a limit of
    /// `kernel.sem` is reached.
    pub fn create_new(key: Key, count: usize, mode: u32) -> Result<Self> {
        Self::get(key, count, CREATE_NEW | (mode & 0o777).cast_signed())
    }

    /// Finds the set with at least `count` semaphores that `key` names, for reading. `semget(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `ENOENT` if no set has the key, `EINVAL` if it has fewer semaphores,
    /// `EACCES` if its mode forbids reading.
    pub fn open(key: Key, count: usize) -> Result<Self> {
        Self::get(key, count, READ)
    }

    /// Like [`open`](Self::open), for reading and changing.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_writable(key: Key, count: usize) -> Result<Self> {
        Self::get(key, count, READ_WRITE)
    }

    /// Like [`open`](Self::open), whatever the mode of the set: enough to [remove](Self::remove) it.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `ENOENT` if no set has the key, `EINVAL` if it has fewer semaphores.
    pub fn find(key: Key, count: usize) -> Result<Self> {
        Self::get(key, count, 0)
    }

    fn get(key: Key, count: usize, flags: i32) -> Result<Self> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        sys::semget(key.raw(), count, flags)
            .map(|id| Self { key, id })
            .map_err(|errno| error(key, "semget", Access::of_get(flags), errno))
    }

    /// Returns the value of semaphore `number`. `semctl(GETVAL)`.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `EINVAL` if the set has fewer semaphores or is gone, `EACCES`.
    pub fn value(self, number: i32) -> Result<i32> {
        self.control(Access::Read, sys::semaphore_value(self.id, number))
    }

    /// Sets semaphore `number`. `semctl(SETVAL)`.
    ///
    /// # Errors
    ///
    /// As for [`value`](Self::value); `ERANGE` if the value is not in 0 to 32767.
    pub fn set_value(self, number: i32, value: i32) -> Result<()> {
        self.control(Access::Write, sys::set_semaphore_value(self.id, number, value))
    }

    /// Returns the process that last changed semaphore `number`; `None` if it never changed or its
    /// process has no id in this process's pid namespace. `semctl(GETPID)`.
    ///
    /// # Errors
    ///
    /// As for [`value`](Self::value).
    pub fn last_pid(self, number: i32) -> Result<Option<u32>> {
        let pid = self.control(Access::Read, sys::semaphore_pid(self.id, number))?;
        Ok(u32::try_from(pid).ok().filter(|pid| *pid != 0))
    }

    /// Does all operations at once, or none, and waits at most `limit` until they are possible. The
    /// kernel undoes them when this process ends. `semtimedop(2)` with `SEM_UNDO`.
    ///
    /// Each operation is the number of a semaphore and what to add to it; 0 waits until it is 0.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `EAGAIN` after `limit`, `EINTR` for a signal, `EIDRM` or `EINVAL` if the
    /// set is gone, `EINVAL` for no operations, `EFBIG` for a number that the set does not have,
    /// `E2BIG` for too many operations, `ERANGE` for a value above 32767, `ENOSPC` or `ENOMEM` for
    /// the undo, `EACCES`.
    pub fn operate_with_undo(self, operations: &[(u16, i16)], limit: Duration) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, reason = "a flag of a field of this width")]
        let undo = libc::SEM_UNDO as i16;
        let operation =
            |&(sem_num, sem_op): &(u16, i16)| libc::sembuf { sem_num, sem_op, sem_flg: undo };
        let mut operations: Vec<_> = operations.iter().map(operation).collect();
        sys::semtimedop(self.id, &mut operations, limit)
            .map_err(|errno| error(self.key, "semtimedop", Access::Write, errno))
    }

    /// Removes the set. Processes that wait for it get `EIDRM`. `semctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `EPERM` unless the user is its owner, its creator or privileged; `EINVAL`
    /// or `EIDRM` if it is gone.
    pub fn remove(self) -> Result<()> {
        self.control(Access::Remove, sys::remove_semaphores(self.id))
    }

    fn control<T>(self, access: Access, answer: Result<T, Errno>) -> Result<T> {
        answer.map_err(|errno| error(self.key, "semctl", access, errno))
    }
}

fn error(key: Key, call: &'static str, access: Access, errno: Errno) -> Error {
    Error::IpcObject { ipc_object: IpcObject::Semaphores(key), call, access, errno }
}
