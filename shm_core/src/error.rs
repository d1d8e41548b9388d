//! One error type: a variant for each call, with the call's arguments.

use std::path::PathBuf;

use crate::stat::SegmentId;
use crate::text::escape_line;
use crate::{Errno, IpcObject, Key};

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that failed, with what it was given and the [`Errno`] that came back.
///
/// `Display` is the form `CALL failed, errno: N msg: MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `shmget(2)`.
    #[error("shmget failed, errno: {} msg: {errno}", errno.raw())]
    Get {
        /// The key that was looked up.
        key: Key,
        /// The size in bytes that was asked for; 0 takes what there is.
        size: usize,
        /// Whether the segment was to be made.
        create: bool,
        /// What came back.
        errno: Errno,
    },
    /// `shmat(2)`.
    #[error("shmat failed, errno: {} msg: {errno}", errno.raw())]
    Attach {
        /// The segment.
        id: SegmentId,
        /// Whether it was to be written.
        write: bool,
        /// What came back.
        errno: Errno,
    },
    /// `shmctl(2)` on a segment.
    #[error("shmctl failed, errno: {} msg: {errno}", errno.raw())]
    Control {
        /// The segment.
        id: SegmentId,
        /// The command, such as `IPC_RMID`.
        command: &'static str,
        /// What came back.
        errno: Errno,
    },
    /// `shmctl(2)` about the whole namespace.
    #[error("shmctl failed, errno: {} msg: {errno}", errno.raw())]
    Info {
        /// The command, such as `IPC_INFO`.
        command: &'static str,
        /// What came back.
        errno: Errno,
    },
    /// A call on a POSIX object or a file: `shm_open(3)`, `open(2)`, `posix_fallocate(3)`, ...
    #[error("{call} failed, errno: {} msg: {errno}", errno.raw())]
    File {
        /// The call's name.
        call: &'static str,
        /// The path; that of a POSIX object is below `/dev/shm`.
        path: PathBuf,
        /// The size in bytes, where the call takes one; else 0.
        size: u64,
        /// What came back.
        errno: Errno,
    },
    /// A call on semaphores or on a message queue: `semget(2)`, `msgget(2)`, `mq_open(3)`, ...
    #[error("{call} failed, errno: {} msg: {errno}", errno.raw())]
    IpcObject {
        /// What it was made on.
        ipc_object: IpcObject,
        /// The call's name.
        call: &'static str,
        /// What came back.
        errno: Errno,
    },
    /// A process's IPC namespace could not be looked at.
    #[error("open of {} failed, errno: {} msg: {errno}", escape_line(path.as_os_str().as_encoded_bytes()), errno.raw())]
    Namespace {
        /// The file below `/proc`.
        path: PathBuf,
        /// What came back.
        errno: Errno,
    },
    /// A page of a segment that the kernel cannot provide to a system call: EFAULT. `SHM_NORESERVE`
    /// lets a process create a segment of huge pages where there are none.
    #[error("a page of segment {id} is not available")]
    Fault {
        /// The segment.
        id: SegmentId,
    },
    /// A name that no POSIX object can have.
    #[error("{0:?} is not a name for a POSIX object: one path component, up to 254 bytes")]
    Name(String),
    /// A range that does not lie inside the memory.
    #[error("bytes {offset}..{} lie outside the {size} bytes that are shared", offset.saturating_add(*length))]
    OutOfBounds {
        /// Where the range starts.
        offset: u64,
        /// How many bytes it has.
        length: u64,
        /// How many bytes there are.
        size: u64,
    },
}

impl Error {
    /// The name of the call that failed; `None` where no call was made.
    #[must_use]
    pub fn call(&self) -> Option<&'static str> {
        match self {
            Self::Get { .. } => Some("shmget"),
            Self::Attach { .. } => Some("shmat"),
            Self::Control { .. } | Self::Info { .. } => Some("shmctl"),
            Self::File { call, .. } | Self::IpcObject { call, .. } => Some(call),
            Self::Namespace { .. } => Some("open"),
            Self::Fault { .. } | Self::Name(_) | Self::OutOfBounds { .. } => None,
        }
    }

    /// What the kernel returned; `None` where no call was made.
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
            Self::Name(_) | Self::OutOfBounds { .. } => None,
        }
    }
}
