//! What this process can see of its container: plain data, which `--json` prints.

use std::fmt;

use serde::Serialize;
use shm_cli::memory_limit::{self, MemoryGroup};
use shm_core::limits::{MqueueLimits, QueueLimits, SemaphoreLimits};
use shm_core::namespace::boot_id;
use shm_core::stat::SegmentId;
use shm_core::table::queues::{self, QueueStat};
use shm_core::table::semaphores::{self, SetStat};
use shm_core::{IpcNamespace, Limits, Result, Segment, Stat, Usage, table};

use crate::dev_shm::{self, DevShm, PosixObject};
use crate::mqueues::{self, Mqueue};
use crate::resources::{NearlyUsed, nearly_used};

/// A fact, or the reason why it could not be read.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Reading<T> {
    Read(T),
    NotRead { not_read: String },
}

impl<T, E: fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(answer: Result<T, E>) -> Self {
        match answer {
            Ok(fact) => Self::Read(fact),
            Err(error) => Self::NotRead { not_read: error.to_string() },
        }
    }
}

impl<T> Reading<T> {
    /// Returns the fact, or `None` if it could not be read.
    pub(crate) fn read(&self) -> Option<&T> {
        match self {
            Self::Read(fact) => Some(fact),
            Self::NotRead { .. } => None,
        }
    }
}

/// The kernel's tables, the limits and the places of shared memory.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) boot_id: Option<String>,
    pub(crate) ipc_namespace: Option<IpcNamespace>,
    pub(crate) segments: Reading<Vec<Stat>>,
    pub(crate) limits: Reading<Limits>,
    pub(crate) usage: Reading<Usage>,
    pub(crate) semaphores: Reading<Vec<SetStat>>,
    pub(crate) semaphore_limits: Reading<SemaphoreLimits>,
    pub(crate) queues: Reading<Vec<QueueStat>>,
    pub(crate) queue_limits: Reading<QueueLimits>,
    pub(crate) mqueues: Reading<Vec<Mqueue>>,
    pub(crate) mqueue_limits: Reading<MqueueLimits>,
    pub(crate) dev_shm: Reading<DevShm>,
    pub(crate) posix_objects: Reading<Vec<PosixObject>>,
    pub(crate) memory: Reading<Vec<MemoryGroup>>,
    /// What `FULL` and `NEARLY FULL` mark in the text.
    pub(crate) nearly_used: Vec<NearlyUsed>,
}

/// The facts without which a command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    Segments(Option<SegmentId>),
    Limits,
    Nothing,
}

impl Facts {
    /// Reads all facts.
    ///
    /// # Errors
    ///
    /// Fails if a required fact cannot be read.
    pub(crate) fn read(required: Required) -> Result<Self> {
        let (limits, usage) = (Limits::current(), Usage::current());
        let segments = match required {
            Required::Segments(only) => Ok(segments(only)?),
            Required::Limits => {
                limits.clone()?;
                usage.clone()?;
                table::list()
            }
            Required::Nothing => table::list(),
        };
        let mut facts = Self {
            boot_id: boot_id(),
            ipc_namespace: IpcNamespace::current().ok(),
            segments: segments.into(),
            limits: limits.into(),
            usage: usage.into(),
            semaphores: semaphores::list().into(),
            semaphore_limits: SemaphoreLimits::current().into(),
            queues: queues::list().into(),
            queue_limits: QueueLimits::current().into(),
            mqueues: mqueues::list().into(),
            mqueue_limits: MqueueLimits::current().into(),
            dev_shm: DevShm::read().into(),
            posix_objects: dev_shm::objects().into(),
            memory: memory_limit::groups().into(),
            nearly_used: vec![],
        };
        facts.nearly_used = nearly_used(&facts);
        Ok(facts)
    }
}

/// Returns the segments, or only that with the shmid.
///
/// # Errors
///
/// Those of [`table::list`]; for an unknown shmid, that of `shmctl(IPC_STAT)`.
pub(crate) fn segments(only: Option<SegmentId>) -> Result<Vec<Stat>> {
    let mut stats = table::list()?;
    if let Some(id) = only {
        stats.retain(|stat| stat.shmid == id);
        if stats.is_empty() {
            stats.push(Segment::from_id(id).stat()?);
        }
    }
    Ok(stats)
}
