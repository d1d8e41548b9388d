//! The limits and the usage of the calling process's IPC namespace.

use std::fs;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::sys;
use crate::{Error, Result};

/// The System V limits of this IPC namespace. Each namespace has separate limits. A new namespace
/// starts with the kernel's defaults, not with its parent's values. `shmctl(IPC_INFO)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `kernel.shmmni`: the maximum number of segments.
    pub max_segments: u64,
    /// `kernel.shmmax`: the maximum size of a segment in bytes.
    pub max_segment_bytes: u64,
    /// `kernel.shmall`: the maximum number of pages of all segments together.
    pub max_total_pages: u64,
    /// The minimum size of a segment in bytes.
    pub min_segment_bytes: u64,
    /// The size of a page in bytes.
    pub page_bytes: u64,
}

impl Limits {
    /// Returns the limits.
    ///
    /// # Errors
    ///
    /// [`Error::Info`]: `ENOSYS` on a kernel without System V IPC.
    pub fn current() -> Result<Self> {
        let info = sys::ipc_info().map_err(|errno| Error::Info { command: "IPC_INFO", errno })?;
        Ok(Self {
            max_segments: info.shmmni,
            max_segment_bytes: info.shmmax,
            max_total_pages: info.shmall,
            min_segment_bytes: info.shmmin,
            page_bytes: sys::page_size(),
        })
    }
}

/// The usage of this IPC namespace. `shmctl(SHM_INFO)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The number of segments.
    pub segments: u64,
    /// The number of their pages, including those without memory.
    pub total_pages: u64,
    /// The number of pages in memory.
    pub resident_pages: u64,
    /// The number of pages in swap.
    pub swapped_pages: u64,
    /// The highest index in use, as reported by the kernel.
    #[serde(skip)]
    pub(crate) highest_index: i32,
}

impl Usage {
    /// Returns the usage.
    ///
    /// # Errors
    ///
    /// [`Error::Info`]: `ENOSYS` on a kernel without System V IPC.
    pub fn current() -> Result<Self> {
        let (highest_index, info) =
            sys::shm_info().map_err(|errno| Error::Info { command: "SHM_INFO", errno })?;
        Ok(Self {
            segments: u64::from(info.used_ids.cast_unsigned()),
            total_pages: info.shm_tot,
            resident_pages: info.shm_rss,
            swapped_pages: info.shm_swp,
            highest_index,
        })
    }

    /// Returns the last index for `SHM_STAT`. gVisor does not report the highest index. As the
    /// number of segments it reports the last shmid, and its indexes are shmids.
    pub(crate) fn last_index(&self) -> i32 {
        i32::try_from(self.segments).map_or(self.highest_index, |it| it.max(self.highest_index))
    }
}

/// The limits of semaphores of this IPC namespace: the four numbers of `kernel.sem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemaphoreLimits {
    /// `SEMMSL`: the maximum number of semaphores of a set.
    pub max_set_semaphores: u64,
    /// `SEMMNS`: the maximum number of semaphores of all sets together.
    pub max_semaphores: u64,
    /// `SEMOPM`: the maximum number of operations of one `semop(2)`.
    pub max_operations: u64,
    /// `SEMMNI`: the maximum number of sets.
    pub max_sets: u64,
}

impl SemaphoreLimits {
    /// Returns the limits. `/proc/sys/kernel/sem`.
    ///
    /// # Errors
    ///
    /// The errors of the file.
    pub fn current() -> io::Result<Self> {
        match read_sysctl("kernel/sem")?[..] {
            [max_set_semaphores, max_semaphores, max_operations, max_sets] => {
                Ok(Self { max_set_semaphores, max_semaphores, max_operations, max_sets })
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The limits of System V message queues of this IPC namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLimits {
    /// `kernel.msgmni`: the maximum number of queues.
    pub max_queues: u64,
    /// `kernel.msgmax`: the maximum size of a message in bytes.
    pub max_message_bytes: u64,
    /// `kernel.msgmnb`: the maximum bytes in a new queue.
    pub max_queue_bytes: u64,
}

impl QueueLimits {
    /// Returns the limits. `/proc/sys/kernel/msg*`.
    ///
    /// # Errors
    ///
    /// The errors of the files.
    pub fn current() -> io::Result<Self> {
        Ok(Self {
            max_queues: read_number("kernel/msgmni")?,
            max_message_bytes: read_number("kernel/msgmax")?,
            max_queue_bytes: read_number("kernel/msgmnb")?,
        })
    }
}

/// The limits of POSIX message queues of this IPC namespace. `RLIMIT_MSGQUEUE` limits a user in all
/// namespaces together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqueueLimits {
    /// `fs.mqueue.queues_max`: the maximum number of queues.
    pub max_queues: u64,
    /// `fs.mqueue.msg_max`: the maximum number of messages of a new queue.
    pub max_messages: u64,
    /// `fs.mqueue.msgsize_max`: the maximum size of a message of a new queue in bytes.
    pub max_message_bytes: u64,
}

impl MqueueLimits {
    /// Returns the limits. `/proc/sys/fs/mqueue`.
    ///
    /// # Errors
    ///
    /// The errors of the files.
    pub fn current() -> io::Result<Self> {
        Ok(Self {
            max_queues: read_number("fs/mqueue/queues_max")?,
            max_messages: read_number("fs/mqueue/msg_max")?,
            max_message_bytes: read_number("fs/mqueue/msgsize_max")?,
        })
    }
}

fn read_number(name: &str) -> io::Result<u64> {
    read_sysctl(name)?.first().copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads the numbers of a file in `/proc/sys`.
fn read_sysctl(name: &str) -> io::Result<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/sys/{name}"))?;
    let numbers = text.split_ascii_whitespace().map(u64::from_str).collect::<Result<_, _>>();
    numbers.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
