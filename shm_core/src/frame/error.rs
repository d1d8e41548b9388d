//! What can be wrong with a frame, and what to do about it.

use std::time::Duration;

use super::{WriteState, layout};
use crate::{Diagnosis, Key};

/// Why there is no message to be had, or none to be put in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The segment does not start with the mark of a frame.
    #[error("the segment is not framed")]
    NotFramed,
    /// It is zero, where the header of a frame would be.
    #[error("the segment is empty, and no frame yet")]
    Blank,
    /// It was made by a later or an earlier version of this crate.
    #[error("the frame has version {0}, not {version}", version = layout::VERSION)]
    Version(u16),
    /// It was made by a processor with the other byte order.
    #[error("the frame has the byte order of another architecture")]
    ByteOrder,
    /// The permission bits do not let the owner read and write.
    #[error("mode {0:04o} is none for a frame")]
    Mode(u32),
    /// The segment has no room for a frame.
    #[error("{size} bytes are too few for a frame")]
    TooSmall {
        /// The segment's size in bytes.
        size: u64,
    },
    /// Nothing was written to the end yet.
    #[error("there is no whole message yet")]
    Empty(WriteState),
    /// The published message claims to be longer than what holds it.
    #[error("the frame is damaged: a message of {length} bytes in a slot of {capacity}")]
    TooLong {
        /// What it claims, in bytes.
        length: u64,
        /// What there is, in bytes.
        capacity: u64,
    },
    /// The published message does not have its checksum.
    #[error("the frame is damaged: the message does not have its checksum")]
    Checksum,
    /// There is no memory for a copy of the message.
    #[error("the message does not fit into the memory of this process")]
    OutOfMemory {
        /// How long it is, in bytes.
        length: u64,
    },
    /// The generation has moved on under every attempt to read.
    #[error("the frame changed under each of {attempts} attempts to read it, in {time:.1?}")]
    Unsteady {
        /// How often it was tried.
        attempts: u32,
        /// How long.
        time: Duration,
    },
    /// The generations are none that a writer counts to.
    #[error("the frame is damaged: its generations are none that a writer counts to")]
    Generations,
    /// The set of semaphores under the key is not a frame's lock.
    #[error("the set of semaphores with key {key} is not the lock of a frame", key = .0)]
    NotALock(Key),
    /// Another writer has the turn and did not give it back in time.
    #[error("it was not our turn to write within {limit:?}")]
    Busy {
        /// How long was waited.
        limit: Duration,
        /// Who has the turn; `None` for a process of another pid namespace.
        holder: Option<u32>,
    },
}

impl FrameError {
    /// The cause and the next step; `key` is the segment's.
    pub(crate) fn diagnosis(&self, key: Key) -> Diagnosis {
        let remove = format!("remove it (shm_wr --framed --remove --key {key}) and write it anew");
        match self {
            Self::NotFramed => Diagnosis::new(
                format!("the segment with key {key} was not written with --framed, or overwritten"),
                "leave out --framed, choose another --key, or remove it first (shm_wr --remove)",
            ),
            Self::Blank => Diagnosis::new(
                "its maker has not got further, or wrote an empty text without --framed",
                "write it (shm_wr --framed TEXT), or wait for it (shm_rd --framed --wait)",
            ),
            Self::Version(_) | Self::ByteOrder => Diagnosis::new(
                "it was made by another build of these tools",
                "use that build, or choose another --key",
            ),
            Self::Mode(_) => Diagnosis::new(
                "to take turns, writers change the semaphore, which has the segment's mode",
                "give a --mode that lets the owner read and write, such as 0600 or 0644",
            ),
            Self::TooSmall { .. } => Diagnosis::new(
                "a frame has a header and two slots for messages",
                "give a larger --size",
            ),
            Self::Empty(writing) => Diagnosis::new(
                match writing {
                    WriteState::Idle => "the frame was made, but nothing was written to it",
                    WriteState::UnderWay => "the first message is being written",
                    WriteState::Died => "a writer died while it wrote the first message",
                    WriteState::Unknown => {
                        "the first message was begun; whether its writer lives \
                                         cannot be told without the semaphore"
                    }
                },
                "write it (shm_wr --framed TEXT), or wait for it (shm_rd --framed --wait)",
            ),
            Self::TooLong { .. } | Self::Checksum | Self::Generations => {
                Diagnosis::new("something that keeps no frame wrote to the segment", remove)
            }
            Self::OutOfMemory { length } => Diagnosis::new(
                format!("a whole message is a copy of it, here of {length} bytes; a limit is met"),
                "raise the limit: ulimit -v, ulimit -d",
            ),
            Self::Unsteady { .. } => Diagnosis::new(
                "writers write faster than this can read, or something that keeps no frame writes",
                "write less often, or look who is attached (shm_ls)",
            ),
            Self::NotALock(_) => Diagnosis::new(
                "the key is in use for semaphores of another program, or of shm_wr --object sem",
                "choose another --key, or, if nobody needs those, remove them (shm_wr --object sem \
                 --remove)",
            ),
            Self::Busy { holder, .. } => Diagnosis::new(
                match holder {
                    Some(pid) => format!("process {pid} is writing, or stopped while it wrote"),
                    None => "a process of another pid namespace is writing, or stopped".to_owned(),
                },
                "try again, let it go on or end it: the turn of a process that ends is given back",
            ),
        }
    }
}
