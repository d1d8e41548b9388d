//! Why a frame gives no message, or takes none.

use std::time::Duration;

use shm_core::{Errno, Key};

use crate::layout;
use crate::state::WriteState;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call that failed, or a frame that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A call of the kernel.
    #[error(transparent)]
    Call(#[from] shm_core::Error),
    /// The frame.
    #[error("{error}")]
    Frame {
        /// The segment's key.
        key: Key,
        /// What is wrong.
        error: FrameError,
    },
}

impl Error {
    /// Returns what the kernel returned; `None` if the error is not about a call.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Call(error) => error.errno(),
            Self::Frame { .. } => None,
        }
    }
}

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The segment does not start with the mark of a frame.
    #[error("the segment is not framed")]
    NotFramed,
    /// The segment is zero in the place of the header.
    #[error("the segment is empty: its creator has not made it a frame yet")]
    Blank,
    /// Another version of this crate made the frame.
    #[error("the frame has version {0}, not {version}", version = layout::VERSION)]
    Version(u16),
    /// A processor with the other byte order made the frame.
    #[error("the frame has the byte order of another architecture")]
    ByteOrder,
    /// The permission bits do not let the owner read and write.
    #[error("mode {0:04o} must let the owner read and write")]
    Mode(u32),
    /// The segment has no space for a frame.
    #[error("{size} bytes are too few for a frame")]
    TooSmall {
        /// The segment's size in bytes.
        size: u64,
    },
    /// No message was published yet.
    #[error("there is no whole message yet")]
    Empty(WriteState),
    /// The length of the published message is more than its slot has.
    #[error("the frame is damaged: a message of {length} bytes in a slot of {capacity}")]
    TooLong {
        /// The length in the frame, in bytes.
        length: u64,
        /// The size of the slot, in bytes.
        capacity: u64,
    },
    /// The checksum of the published message is wrong.
    #[error("the frame is damaged: the checksum of the message is wrong")]
    Checksum,
    /// There is no memory for a copy of the message.
    #[error("the message does not fit into the memory of this process")]
    OutOfMemory {
        /// The length of the message in bytes.
        length: u64,
    },
    /// Writers published other messages during each attempt to read.
    #[error("the frame changed during each of {attempts} attempts to read it, in {time:.1?}")]
    Unsteady {
        /// The number of attempts.
        attempts: u32,
        /// How long they took.
        time: Duration,
    },
    /// The sequence numbers in the header are not those of a writer.
    #[error("the frame is damaged: corrupt sequence numbers")]
    Generations,
    /// The set of semaphores under the key is not a frame's lock.
    #[error("the set of semaphores with key {0} is not the lock of a frame")]
    NotALock(Key),
    /// Another writer held the lock all the time.
    #[error("timed out after {limit:?} waiting for the write lock")]
    Busy {
        /// How long this process waited.
        limit: Duration,
        /// Who held it at the end.
        holder: LockHolder,
    },
}

/// The process that held the lock of the writers: the last that changed its semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockHolder {
    /// A process, by its id.
    Process(u32),
    /// A process that has no id in the pid namespace of this process.
    OtherPidNamespace,
    /// The kernel did not say: the call failed.
    Unknown(Errno),
}
