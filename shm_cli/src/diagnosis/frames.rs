//! The causes of unusable frames.

use rustix::process::{Pid, test_kill_process};
use shm_core::Key;
use shm_frame::{FrameError, LockHolder, WriteState};

use super::Diagnosis;

const WRITE_OR_WAIT: &str =
    "write a message (shm_wr --framed TEXT), or wait for one (shm_rd --framed --wait)";

/// Returns the cause of a frame's error and the next step. `key` is the key of the segment.
pub(crate) fn diagnosis(key: Key, error: &FrameError) -> Diagnosis {
    let remove = format!("remove it (shm_wr --framed --remove --key {key}) and write it again");
    match error {
        FrameError::NotFramed => Diagnosis::new(
            format!("the segment with key {key} was written without --framed, or overwritten"),
            format!(
                "omit --framed, choose another --key, or remove it first (shm_wr --remove \
                 --key {key})"
            ),
        ),
        FrameError::Blank => Diagnosis::new(
            "its creator has not finished, has died, or wrote an empty text without --framed",
            WRITE_OR_WAIT,
        ),
        FrameError::Version(_) | FrameError::ByteOrder => Diagnosis::new(
            "another build of these tools created it",
            "use that build, or choose another --key",
        ),
        FrameError::Mode(_) => Diagnosis::new(
            "writers lock a semaphore, which gets the same mode as the segment",
            "give a --mode that lets the owner read and write, such as 0600 or 0644",
        ),
        FrameError::TooSmall { .. } => Diagnosis::new(
            "a frame has a header and two slots for messages",
            "give a larger --size",
        ),
        FrameError::Empty(writing) => Diagnosis::new(
            match writing {
                WriteState::Idle => "the frame was created, but no message was written",
                WriteState::UnderWay => "the first message is being written",
                WriteState::Died => "a writer died while it wrote the first message",
                WriteState::Unknown => {
                    "a writer began the first message; this process cannot find out whether \
                     the writer still runs, because it cannot read the semaphore"
                }
            },
            WRITE_OR_WAIT,
        ),
        FrameError::TooLong { .. } | FrameError::Checksum | FrameError::Generations => {
            Diagnosis::new("a program that does not use frames wrote to the segment", remove)
        }
        FrameError::OutOfMemory { length } => Diagnosis::new(
            format!("reading copies the message, {length} bytes, and a memory limit is too low"),
            "raise the limit: ulimit -v, ulimit -d",
        ),
        FrameError::Unsteady { .. } => Diagnosis::new(
            "writers write faster than this process reads, or a program writes without frames",
            "write less often, or look for a program that writes without --framed: shm_ls shows \
             in nattch how many processes have the segment attached",
        ),
        FrameError::NotALock(_) => Diagnosis::new(
            "another program, or shm_wr --object sem, uses semaphores with this key",
            format!(
                "choose another --key, or, if no program needs the semaphores, remove them (shm_wr \
                 --object sem --remove --key {key})"
            ),
        ),
        FrameError::Busy { holder, .. } => busy(key, *holder),
    }
}

fn busy(key: Key, holder: LockHolder) -> Diagnosis {
    let wait = "try again, let that process finish, or end it: the kernel then releases the lock";
    match holder {
        LockHolder::Process(pid) if has_ended(pid) => Diagnosis::new(
            format!(
                "process {pid} was the last to change the semaphore of the write lock, and has \
                 ended; the kernel releases the lock of a writer that ends, so another process holds \
                 it now, or a program that does not use frames has set it"
            ),
            format!(
                "try again; if that fails and no writer runs, remove the semaphores (shm_wr --object \
                 sem --remove --key {key})"
            ),
        ),
        LockHolder::Process(pid) => Diagnosis::new(
            format!("process {pid} holds the write lock: it writes or is stopped"),
            wait,
        ),
        LockHolder::OtherPidNamespace => {
            Diagnosis::new("a process of another pid namespace holds the write lock", wait)
        }
        LockHolder::Unknown(errno) => Diagnosis::new(
            format!("a process holds the write lock; which one is not known (semctl: {errno})"),
            wait,
        ),
    }
}

/// Returns whether no process has this id. `kill(2)` sees processes that `/proc` hides.
fn has_ended(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}
