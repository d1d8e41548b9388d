//! The other objects of an IPC namespace, as far as they can carry a text: they live and die with
//! it as a segment does, and show the same about who shares it.

use std::ffi::CString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::{Address, Errno, Error, Key, Origin, Result, SemaphoreSet, sys};

/// What carries a text without being memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpcObject {
    /// A set of System V semaphores, by its key: the value of each is a byte, 0 ends the text.
    Semaphores(Key),
    /// A System V message queue, by its key: the text is its first message.
    Queue(Key),
    /// A POSIX message queue, by a name made from the key, `/shm_0x...`: the text is its only message.
    Mqueue(Key),
}

/// What a text is written to and read from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Target {
    /// Shared memory.
    Memory(Address),
    /// What carries a text without being memory.
    IpcObject(IpcObject),
}

impl Target {
    /// Removes it.
    ///
    /// # Errors
    ///
    /// Those of [`Address::remove`] or [`IpcObject::remove`].
    pub fn remove(&self) -> Result<()> {
        match self {
            Self::Memory(address) => address.remove(),
            Self::IpcObject(ipc_object) => ipc_object.remove(),
        }
    }
}

impl Serialize for IpcObject {
    /// `{"mechanism":"sem","key":"0x..."}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("IpcObject", 2)?;
        fields.serialize_field("mechanism", self.mechanism())?;
        fields.serialize_field("key", &self.key())?;
        fields.end()
    }
}

impl IpcObject {
    /// The mechanism's name: `sem`, `msg` or `mqueue`.
    #[must_use]
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Semaphores(_) => "sem",
            Self::Queue(_) => "msg",
            Self::Mqueue(_) => "mqueue",
        }
    }

    /// The IPC object of a [mechanism](Self::mechanism), if that is the name of one.
    #[must_use]
    pub fn named(mechanism: &str, key: Key) -> Option<Self> {
        let all = [Self::Semaphores(key), Self::Queue(key), Self::Mqueue(key)];
        all.into_iter().find(|ipc_object| ipc_object.mechanism() == mechanism)
    }

    /// What it is found by.
    #[must_use]
    pub fn key(self) -> Key {
        match self {
            Self::Semaphores(key) | Self::Queue(key) | Self::Mqueue(key) => key,
        }
    }

    /// Puts a text of fewer than `size` bytes into it, in place of the one that was there. Where it
    /// is not there it is made, for texts of that size and with the permission bits `mode`; with
    /// `create_new` it must not be there.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `EEXIST` with `create_new`; `EACCES`; `ENOSPC` or `EMFILE` where a limit
    /// is met; `EINVAL` where `size` is more than a limit allows; `EMSGSIZE` where a POSIX queue that
    /// is there takes shorter texts only. [`Error::OutOfBounds`] where the text does not fit into
    /// `size`, or into the semaphores that are there.
    pub fn write_text(
        self,
        text: &[u8],
        size: usize,
        mode: u32,
        create_new: bool,
    ) -> Result<Origin> {
        if text.len() >= size {
            let (length, size) = (text.len() as u64 + 1, size as u64);
            return Err(Error::OutOfBounds { offset: 0, length, size });
        }
        match self {
            Self::Semaphores(key) => {
                let make = || SemaphoreSet::create_new(key, size, mode);
                let find = || SemaphoreSet::open_writable(key, 0);
                let (set, origin) = make_or_find(create_new, make, find)?;
                set_values(set, text)?;
                Ok(origin)
            }
            Self::Queue(key) => {
                if text.len() > sys::LONGEST_MESSAGE {
                    // As the kernel would answer, but before what is there is taken out.
                    return Err(self.error("msgsnd", Errno::EINVAL));
                }
                let (id, origin) = self.queue(key, mode, create_new)?;
                while self.received(sys::msgrcv(id, false), Errno::ENOMSG)?.is_some() {}
                sys::msgsnd(id, text).map_err(|errno| self.error("msgsnd", errno))?;
                Ok(origin)
            }
            Self::Mqueue(key) => {
                let (queue, origin) = self.mqueue(key, size, mode, create_new)?;
                let room = sys::mq_message_size(&queue);
                if text.len() > room.map_err(|errno| self.error("mq_getattr", errno))? {
                    // Likewise: one that was there may have been made for shorter texts.
                    return Err(self.error("mq_send", Errno::EMSGSIZE));
                }
                while self.received(sys::mq_receive(&queue), Errno::EAGAIN)?.is_some() {}
                sys::mq_send(&queue, text).map_err(|errno| self.error("mq_send", errno))?;
                Ok(origin)
            }
        }
    }

    /// The text in it, which stays there. It is empty where nothing was put in.
    ///
    /// A POSIX message queue cannot be looked into: its message is taken out and sent again, and
    /// somebody who looks in between finds none. The same goes for System V on a kernel without
    /// `MSG_COPY` (`CONFIG_CHECKPOINT_RESTORE`).
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `ENOENT` where it is not there, `EACCES`.
    pub fn read_text(self) -> Result<Vec<u8>> {
        match self {
            Self::Semaphores(key) => values(SemaphoreSet::open(key, 0)?),
            Self::Queue(key) => {
                let id = sys::msgget(key.raw(), READ);
                self.message(id.map_err(|errno| self.error("msgget", errno))?)
            }
            Self::Mqueue(key) => {
                let queue =
                    sys::mq_open(&name(key), None).map_err(|errno| self.error("mq_open", errno))?;
                let text = self.received(sys::mq_receive(&queue), Errno::EAGAIN)?;
                if let Some(text) = &text {
                    sys::mq_send(&queue, text).map_err(|errno| self.error("mq_send", errno))?;
                }
                Ok(text.unwrap_or_default())
            }
        }
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `ENOENT` where it is not there, `EPERM` or `EACCES` for whoever may not.
    pub fn remove(self) -> Result<()> {
        match self {
            Self::Semaphores(key) => SemaphoreSet::find(key, 0)?.remove(),
            Self::Queue(key) => {
                let id = sys::msgget(key.raw(), 0).map_err(|errno| self.error("msgget", errno))?;
                sys::remove_queue(id).map_err(|errno| self.error("msgctl", errno))
            }
            Self::Mqueue(key) => {
                sys::mq_unlink(&name(key)).map_err(|errno| self.error("mq_unlink", errno))
            }
        }
    }

    fn queue(self, key: Key, mode: u32, create_new: bool) -> Result<(i32, Origin)> {
        let get =
            |flags| sys::msgget(key.raw(), flags).map_err(|errno| self.error("msgget", errno));
        let make = || get(CREATE_NEW | (mode & 0o777).cast_signed());
        make_or_find(create_new, make, || get(READ_WRITE))
    }

    fn mqueue(
        self,
        key: Key,
        size: usize,
        mode: u32,
        create_new: bool,
    ) -> Result<(std::fs::File, Origin)> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let name = name(key);
        let open =
            |create| sys::mq_open(&name, create).map_err(|errno| self.error("mq_open", errno));
        let make = || open(Some((mode & 0o777, size)));
        let (queue, origin) = make_or_find(create_new, make, || open(None))?;
        if origin == Origin::Created {
            // The umask applies to mq_open alone.
            queue
                .set_permissions(Permissions::from_mode(mode & 0o777))
                .map_err(|error| self.error("fchmod", Errno::from_io(&error)))?;
        }
        Ok((queue, origin))
    }

    fn message(self, id: i32) -> Result<Vec<u8>> {
        let text = match sys::msgrcv(id, true) {
            Err(Errno::ENOSYS) => {
                let text = self.received(sys::msgrcv(id, false), Errno::ENOMSG)?;
                if let Some(text) = &text {
                    sys::msgsnd(id, text).map_err(|errno| self.error("msgsnd", errno))?;
                }
                text
            }
            answer => self.received(answer, Errno::ENOMSG)?,
        };
        Ok(text.unwrap_or_default())
    }

    /// A message, or none where the queue is `empty`.
    fn received(self, answer: Result<Vec<u8>, Errno>, empty: Errno) -> Result<Option<Vec<u8>>> {
        match answer {
            Ok(text) => Ok(Some(text)),
            Err(errno) if errno == empty => Ok(None),
            Err(errno) if matches!(self, Self::Queue(_)) => Err(self.error("msgrcv", errno)),
            Err(errno) => Err(self.error("mq_receive", errno)),
        }
    }

    fn error(self, call: &'static str, errno: Errno) -> Error {
        Error::IpcObject { ipc_object: self, call, errno }
    }
}

/// Makes an object, or finds it unless it must be new.
fn make_or_find<T>(
    create_new: bool,
    make: impl Fn() -> Result<T>,
    find: impl Fn() -> Result<T>,
) -> Result<(T, Origin)> {
    loop {
        match make() {
            Ok(new) => return Ok((new, Origin::Created)),
            Err(error) if error.errno() == Some(Errno::EEXIST) && !create_new => {}
            Err(error) => return Err(error),
        }
        match find() {
            Ok(found) => return Ok((found, Origin::Opened)),
            // Another process removed it between the two calls.
            Err(error) if error.errno() == Some(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sets the values from the last to the first: a text that is too long changes none.
fn set_values(set: SemaphoreSet, text: &[u8]) -> Result<()> {
    let bytes: Vec<_> = (0..=u16::MAX).zip(text.iter().chain(&[0])).collect();
    for (number, byte) in bytes.into_iter().rev() {
        set.set_value(number, (*byte).into()).map_err(|error| match error.errno() {
            // The set has fewer semaphores.
            Some(Errno::EINVAL) if number > 0 => {
                let size = (0..number).take_while(|number| set.value(*number).is_ok()).count();
                let (length, size) = (text.len() as u64 + 1, size as u64);
                Error::OutOfBounds { offset: 0, length, size }
            }
            _ => error,
        })?;
    }
    Ok(())
}

fn values(set: SemaphoreSet) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for number in 0.. {
        match set.value(number) {
            Ok(0) => break,
            // Not a byte: another program uses the set as semaphores.
            Ok(value) => text.push(u8::try_from(value).unwrap_or(b'?')),
            // The end of the set.
            Err(error) if error.errno() == Some(Errno::EINVAL) && number > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// The name of the POSIX message queue that belongs to a key.
fn name(key: Key) -> CString {
    // A key is printed in hexadecimal: there is no NUL in it.
    CString::new(format!("/shm_{key}")).unwrap_or_default()
}

const READ: i32 = 0o444;
const READ_WRITE: i32 = 0o666;
const CREATE_NEW: i32 = libc::IPC_CREAT | libc::IPC_EXCL;
