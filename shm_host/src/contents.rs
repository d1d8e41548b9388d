//! What an IPC namespace has, and its limits. Reads the namespace of the calling thread.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use shm_core::limits::{MqueueLimits, QueueLimits, SemaphoreLimits};
use shm_core::table::queues::{self, QueueStat};
use shm_core::table::semaphores::{self, SetStat};
use shm_core::{Limits, Stat, Usage, table};

use crate::reading::Reading;

/// The System V objects of an IPC namespace, and all its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The segments. The ids of processes are those of the reader's pid namespace.
    pub segments: Reading<Vec<Stat>>,
    /// The limits of segments.
    pub limits: Reading<Limits>,
    /// The use of these limits.
    pub usage: Reading<Usage>,
    /// The sets of semaphores.
    pub semaphores: Reading<Vec<SetStat>>,
    /// The limits of semaphores.
    pub semaphore_limits: Reading<SemaphoreLimits>,
    /// The System V message queues.
    pub queues: Reading<Vec<QueueStat>>,
    /// The limits of System V message queues.
    pub queue_limits: Reading<QueueLimits>,
    /// The limits of POSIX message queues.
    pub mqueue_limits: Reading<MqueueLimits>,
    /// `kernel.shm_rmid_forced`: whether a segment is removed with its last attachment.
    pub rmid_forced: Reading<bool>,
}

impl Contents {
    /// Reads the namespace of the calling thread.
    #[must_use]
    pub fn read() -> Self {
        Self {
            segments: table::list().into(),
            limits: Limits::current().into(),
            usage: Usage::current().into(),
            semaphores: semaphores::list().into(),
            semaphore_limits: SemaphoreLimits::current().into(),
            queues: queues::list().into(),
            queue_limits: QueueLimits::current().into(),
            mqueue_limits: MqueueLimits::current().into(),
            rmid_forced: rmid_forced().into(),
        }
    }
}

fn rmid_forced() -> io::Result<bool> {
    Ok(fs::read_to_string("/proc/sys/kernel/shm_rmid_forced")?.trim() == "1")
}
