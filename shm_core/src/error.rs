//! The error type of this crate: each variant contains the arguments of the failed call.

use std::path::PathBuf;

use crate::stat::SegmentId;
use crate::sys::{READ, READ_WRITE};
use crate::text::escape_line;
use crate::{Errno, IpcObject, Key};

/// The result of the functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The access that a failed call asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// None that depends on a mode: the call only finds the object, asks about the whole namespace,
    /// or uses an open file.
    Unchecked,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Reading and writing.
    ReadWrite,
    /// Creation of an object that must not exist.
    Create,
    /// Removal, or a change of the owner or the mode.
    Remove,
}

impl Access {
    /// Returns the access that the flags of `shmget(2)`, `semget(2)` or `msgget(2)` ask for.
    pub(crate) fn of_get(flags: i32) -> Self {
        match flags {
            _ if flags & libc::IPC_CREAT != 0 => Self::Create,
            READ_WRITE => Self::ReadWrite,
            READ => Self::Read,
            _ => Self::Unchecked,
        }
    }
}

/// A failed call, with its arguments and the [`Errno`] that it returned.
///
/// `Display` prints the errors of calls as `CALL failed, errno: N msg: MESSAGE`. Code that explains
/// errors matches every variant: a new one must be explained too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `shmget(2)`.
    #[error("shmget failed, errno: {} msg: {errno}", errno.raw())]
    Get {
        /// The key of the segment; `None` for `IPC_PRIVATE`.
        key: Option<Key>,
        /// The requested size in bytes; 0 accepts every size.
        size: usize,
        /// The access that the call asked for.
        access: Access,
        /// Whether the segment was to have huge pages.
        huge: bool,
        /// The error number.
        errno: Errno,
    },
    /// `shmat(2)`.
    #[error("shmat failed, errno: {} msg: {errno}", errno.raw())]
    Attach {
        /// The segment.
        id: SegmentId,
        /// Whether the call was to attach the segment for writing.
        write: bool,
        /// The error number.
        errno: Errno,
    },
    /// `shmctl(2)` on a segment.
    #[error("shmctl failed, errno: {} msg: {errno}", errno.raw())]
    Control {
        /// The segment.
        id: SegmentId,
        /// The command, such as `IPC_RMID`.
        command: &'static str,
        /// The error number.
        errno: Errno,
    },
    /// `shmctl(2)` about the whole namespace.
    #[error("shmctl failed, errno: {} msg: {errno}", errno.raw())]
    Info {
        /// The command, such as `IPC_INFO`.
        command: &'static str,
        /// The error number.
        errno: Errno,
    },
    /// A call on a POSIX object or a file: `shm_open(3)`, `open(2)`, `posix_fallocate(3)`, ...
    #[error("{call} failed, errno: {} msg: {errno}", errno.raw())]
    File {
        /// The call's name.
        call: &'static str,
        /// The path. A POSIX object has its path in `/dev/shm`.
        path: PathBuf,
        /// The size in bytes; 0 if the call takes no size.
        size: u64,
        /// The access that the call asked for.
        access: Access,
        /// The error number.
        errno: Errno,
    },
    /// A call on semaphores or on a message queue: `semget(2)`, `msgget(2)`, `mq_open(3)`, ...
    #[error("{call} failed, errno: {} msg: {errno}", errno.raw())]
    IpcObject {
        /// The set of semaphores or the queue.
        ipc_object: IpcObject,
        /// The call's name.
        call: &'static str,
        /// The access that the call asked for.
        access: Access,
        /// The error number.
        errno: Errno,
    },
    /// Opening or inspecting the IPC namespace of a process.
    #[error("open of {} failed, errno: {} msg: {errno}", escape_line(path.as_os_str().as_encoded_bytes()), errno.raw())]
    Namespace {
        /// The file in `/proc`.
        path: PathBuf,
        /// The error number.
        errno: Errno,
    },
    /// A system call accessed a page of a segment that the kernel cannot provide: `EFAULT`.
    /// `SHM_NORESERVE` lets a process create a segment of huge pages when no huge page is free.
    #[error("a page of segment {id} is not available")]
    Fault {
        /// The segment.
        id: SegmentId,
    },
    /// A segment was to be created with a shmid. The kernel chooses these numbers.
    #[error("cannot create segment {id}: the kernel chooses the ids")]
    ChosenId {
        /// The shmid.
        id: SegmentId,
    },
    /// An invalid name for a POSIX object.
    #[error("invalid POSIX object name {0:?}: give one path component of at most 254 bytes")]
    Name(String),
    /// A range of bytes that is not completely inside the memory or the object.
    #[error("bytes {offset}..{} lie outside the {size} available bytes", offset.saturating_add(*length))]
    OutOfBounds {
        /// The start of the range.
        offset: u64,
        /// The length of the range in bytes.
        length: u64,
        /// The size of the memory or the object in bytes.
        size: u64,
    },
}

impl Error {
    /// Returns the name of the failed call, or `None` if the error names no call.
    #[must_use]
    pub fn call(&self) -> Option<&'static str> {
        match self {
            Self::Get { .. } => Some("shmget"),
            Self::Attach { .. } => Some("shmat"),
            Self::Control { .. } | Self::Info { .. } => Some("shmctl"),
            Self::File { call, .. } | Self::IpcObject { call, .. } => Some(call),
            Self::Namespace { .. } => Some("open"),
            Self::Fault { .. }
            | Self::ChosenId { .. }
            | Self::Name(_)
            | Self::OutOfBounds { .. } => None,
        }
    }

    /// Returns the error number, or `None` if no call failed.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Get { errno, .. }
            | Self::Attach { errno, .. }
            | Self::Control { errno, .. }
            | Self::Info { errno, .. }
            | Self::File { errno, .. }
            | Self::IpcObject { errno, .. }
            | Self::Namespace { errno, .. } => Some(*errno),
            Self::Fault { .. } => Some(Errno::EFAULT),
            Self::ChosenId { .. } | Self::Name(_) | Self::OutOfBounds { .. } => None,
        }
    }
}
