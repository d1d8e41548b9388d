//! The other objects of an IPC namespace that can hold a text. Like segments, they end with the
//! namespace and show who shares it.

use std::ffi::{CStr, CString};
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::origin::create_or_open;
use crate::sys::{self, CREATE_NEW, READ, READ_WRITE};
use crate::{Access, Address, Errno, Error, Key, Origin, Result, SemaphoreSet};

/// An object of an IPC namespace that holds a text but is not memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpcObject {
    /// A System V semaphore set, by its key. Each semaphore's value is a byte; 0 ends the text.
    Semaphores(Key),
    /// A System V message queue, by its key. Its first message is the text.
    Queue(Key),
    /// A POSIX message queue, named after the key: `/shm_0x...`. Its only message is the text.
    Mqueue(Key),
}

/// The place where a text is written and read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Target {
    /// Shared memory.
    Memory(Address),
    /// Semaphores or a message queue.
    IpcObject(IpcObject),
}

impl Target {
    /// Removes the memory or the object.
    ///
    /// # Errors
    ///
    /// Those of [`Address::remove`] and [`IpcObject::remove`].
    pub fn remove(&self) -> Result<()> {
        match self {
            Self::Memory(address) => address.remove(),
            Self::IpcObject(ipc_object) => ipc_object.remove(),
        }
    }
}

impl Serialize for IpcObject {
    /// Serializes as `{"mechanism":"sem","key":"0x..."}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("IpcObject", 2)?;
        fields.serialize_field("mechanism", self.mechanism())?;
        fields.serialize_field("key", &self.key())?;
        fields.end()
    }
}

impl IpcObject {
    /// Returns the name of the mechanism: `sem`, `msg` or `mqueue`.
    #[must_use]
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Semaphores(_) => "sem",
            Self::Queue(_) => "msg",
            Self::Mqueue(_) => "mqueue",
        }
    }

    /// Returns the object with this [mechanism](Self::mechanism), or `None` for an unknown name.
    #[must_use]
    pub fn named(mechanism: &str, key: Key) -> Option<Self> {
        let all = [Self::Semaphores(key), Self::Queue(key), Self::Mqueue(key)];
        all.into_iter().find(|ipc_object| ipc_object.mechanism() == mechanism)
    }

    /// Returns the key.
    #[must_use]
    pub fn key(self) -> Key {
        match self {
            Self::Semaphores(key) | Self::Queue(key) | Self::Mqueue(key) => key,
        }
    }

    /// Writes a text of fewer than `size` bytes to the object and replaces the old text. If the
    /// object does not exist, creates it for texts of that size with the permission bits `mode`.
    /// With `create_new`, the object must not exist. Returns whether the call created it.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `EEXIST` with `create_new`; `EACCES`; `ENOSPC` or `EMFILE` if a limit
    /// is reached; `EINVAL` if `size` is larger than a limit; `EMSGSIZE` if an existing POSIX queue
    /// only accepts shorter texts. [`Error::OutOfBounds`] if the text does not fit into `size`
    /// bytes or into the existing semaphores.
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
                let create = || SemaphoreSet::create_new(key, size, mode);
                let open = || SemaphoreSet::open_writable(key, 0);
                let (set, origin) = create_or_open(create_new, create, open)?;
                set_values(set, text)?;
                Ok(origin)
            }
            Self::Queue(_) => {
                if text.len() > sys::LONGEST_MESSAGE {
                    // By default (kernel.msgmax), msgsnd fails too, but the old text is gone then.
                    return Err(self.error("msgsnd", Access::Write, Errno::EINVAL));
                }
                let (id, origin) = self.queue(mode, create_new)?;
                while self.received(sys::msgrcv(id, false), Errno::ENOMSG)?.is_some() {}
                sys::msgsnd(id, text)
                    .map_err(|errno| self.error("msgsnd", Access::Write, errno))?;
                Ok(origin)
            }
            Self::Mqueue(key) => {
                let (queue, origin) = self.mqueue(key, size, mode, create_new)?;
                let room = sys::mq_message_size(&queue);
                if text.len()
                    > room.map_err(|errno| self.error("mq_getattr", Access::Unchecked, errno))?
                {
                    // As above: the existing queue may accept only shorter texts.
                    return Err(self.error("mq_send", Access::Unchecked, Errno::EMSGSIZE));
                }
                while self.received(sys::mq_receive(&queue), Errno::EAGAIN)?.is_some() {}
                sys::mq_send(&queue, text)
                    .map_err(|errno| self.error("mq_send", Access::Unchecked, errno))?;
                Ok(origin)
            }
        }
    }

    /// Returns the text, which stays in the object. It is empty if no text was written.
    ///
    /// Reading a POSIX message queue removes the message, so this sends it again. In between,
    /// another reader finds an empty queue. System V queues behave the same on a kernel without
    /// `MSG_COPY` (`CONFIG_CHECKPOINT_RESTORE`).
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `ENOENT` if the object does not exist, `EACCES`.
    pub fn read_text(self) -> Result<Vec<u8>> {
        match self {
            Self::Semaphores(key) => values(SemaphoreSet::open(key, 0)?),
            Self::Queue(_) => self.message(self.msgget(READ)?),
            Self::Mqueue(key) => {
                let queue = self.mq_open(&name(key), None)?;
                let text = self.received(sys::mq_receive(&queue), Errno::EAGAIN)?;
                if let Some(text) = &text {
                    sys::mq_send(&queue, text)
                        .map_err(|errno| self.error("mq_send", Access::Unchecked, errno))?;
                }
                Ok(text.unwrap_or_default())
            }
        }
    }

    /// Removes the object.
    ///
    /// # Errors
    ///
    /// [`Error::IpcObject`]: `ENOENT` if it does not exist, `EPERM` or `EACCES` without permission.
    pub fn remove(self) -> Result<()> {
        match self {
            Self::Semaphores(key) => SemaphoreSet::find(key, 0)?.remove(),
            Self::Queue(_) => {
                let id = self.msgget(0)?;
                sys::remove_queue(id).map_err(|errno| self.error("msgctl", Access::Remove, errno))
            }
            Self::Mqueue(key) => sys::mq_unlink(&name(key))
                .map_err(|errno| self.error("mq_unlink", Access::Remove, errno)),
        }
    }

    fn msgget(self, flags: i32) -> Result<i32> {
        sys::msgget(self.key().raw(), flags)
            .map_err(|errno| self.error("msgget", Access::of_get(flags), errno))
    }

    fn queue(self, mode: u32, create_new: bool) -> Result<(i32, Origin)> {
        let create = || self.msgget(CREATE_NEW | (mode & 0o777).cast_signed());
        create_or_open(create_new, create, || self.msgget(READ_WRITE))
    }

    fn mq_open(self, name: &CStr, create: Option<(u32, i64)>) -> Result<File> {
        let access = if create.is_some() { Access::Create } else { Access::ReadWrite };
        sys::mq_open(name, create).map_err(|errno| self.error("mq_open", access, errno))
    }

    fn mqueue(self, key: Key, size: usize, mode: u32, create_new: bool) -> Result<(File, Origin)> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let name = name(key);
        let create = || self.mq_open(&name, Some((mode & 0o777, size)));
        let (queue, origin) = create_or_open(create_new, create, || self.mq_open(&name, None))?;
        if origin == Origin::Created {
            // mq_open applies the umask; fchmod does not.
            queue
                .set_permissions(Permissions::from_mode(mode & 0o777))
                .map_err(|error| self.error("fchmod", Access::Unchecked, Errno::from_io(&error)))?;
        }
        Ok((queue, origin))
    }

    fn message(self, id: i32) -> Result<Vec<u8>> {
        let text = match sys::msgrcv(id, true) {
            Err(Errno::ENOSYS) => {
                let text = self.received(sys::msgrcv(id, false), Errno::ENOMSG)?;
                if let Some(text) = &text {
                    sys::msgsnd(id, text)
                        .map_err(|errno| self.error("msgsnd", Access::Write, errno))?;
                }
                text
            }
            answer => self.received(answer, Errno::ENOMSG)?,
        };
        Ok(text.unwrap_or_default())
    }

    /// Returns a received message, or `None` for the errno that means that the queue is empty.
    fn received(self, answer: Result<Vec<u8>, Errno>, empty: Errno) -> Result<Option<Vec<u8>>> {
        match answer {
            Ok(text) => Ok(Some(text)),
            Err(errno) if errno == empty => Ok(None),
            Err(errno) if matches!(self, Self::Queue(_)) => {
                Err(self.error("msgrcv", Access::Read, errno))
            }
            Err(errno) => Err(self.error("mq_receive", Access::Unchecked, errno)),
        }
    }

    fn error(self, call: &'static str, access: Access, errno: Errno) -> Error {
        Error::IpcObject { ipc_object: self, call, access, errno }
    }
}

/// Sets the values from the last to the first, so a text that is too long changes no value.
fn set_values(set: SemaphoreSet, text: &[u8]) -> Result<()> {
    let bytes: Vec<_> = (0..).zip(text.iter().chain(&[0])).collect();
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
            // The value is not a byte: another program uses the set as semaphores.
            Ok(value) => text.push(u8::try_from(value).unwrap_or(b'?')),
            // The end of the set.
            Err(error) if error.errno() == Some(Errno::EINVAL) && number > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// Returns the name of the POSIX message queue for a key.
fn name(key: Key) -> CString {
    // A key is printed in hexadecimal, so it contains no NUL.
    CString::new(format!("/shm_{key}")).unwrap_or_default()
}
