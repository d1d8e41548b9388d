//! The causes of unusable frames.

use shm_core::Key;
use shm_frame::{FrameError, WriteState};

use super::Diagnosis;

pub(super) fn diagnosis(key: Key, error: &FrameError) -> Diagnosis {
    let remove = format!("remove it (shm_wr --framed --remove --key {key}) and write it anew");
    match error {
        FrameError::NotFramed => Diagnosis::new(
            format!("the segment with key {key} was not written with --framed, or overwritten"),
            "leave out --framed, choose another --key, or remove it first (shm_wr --remove)",
        ),
        FrameError::Blank => Diagnosis::new(
            "its maker has not got further, or wrote an empty text without --framed",
            "write it (shm_wr --framed TEXT), or wait for it (shm_rd --framed --wait)",
        ),
        FrameError::Version(_) | FrameError::ByteOrder => Diagnosis::new(
            "it was made by another build of these tools",
            "use that build, or choose another --key",
        ),
        FrameError::Mode(_) => Diagnosis::new(
            "to take turns, writers change the semaphore, which has the segment's mode",
            "give a --mode that lets the owner read and write, such as 0600 or 0644",
        ),
        FrameError::TooSmall { .. } => Diagnosis::new(
            "a frame has a header and two slots for messages",
            "give a larger --size",
        ),
        FrameError::Empty(writing) => Diagnosis::new(
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
        FrameError::TooLong { .. } | FrameError::Checksum | FrameError::Generations => {
            Diagnosis::new("something that keeps no frame wrote to the segment", remove)
        }
        FrameError::OutOfMemory { length } => Diagnosis::new(
            format!("a whole message is a copy of it, here of {length} bytes; a limit is met"),
            "raise the limit: ulimit -v, ulimit -d",
        ),
        FrameError::Unsteady { .. } => Diagnosis::new(
            "writers write faster than this can read, or something that keeps no frame writes",
            "write less often, or look who is attached (shm_ls)",
        ),
        FrameError::NotALock(_) => Diagnosis::new(
            "the key is in use for semaphores of another program, or of shm_wr --object sem",
            "choose another --key, or, if nobody needs those, remove them (shm_wr --object sem \
             --remove)",
        ),
        FrameError::Busy { holder, .. } => Diagnosis::new(
            match holder {
                Some(pid) => format!("process {pid} is writing, or stopped while it wrote"),
                None => "a process of another pid namespace is writing, or stopped".to_owned(),
            },
            "try again, let it go on or end it: the turn of a process that ends is given back",
        ),
    }
}
