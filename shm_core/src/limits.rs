//! The limits of the calling process's IPC namespace, and what is used of them.

use serde::Serialize;

use crate::sys;
use crate::{Error, Result};

/// The System V limits of this IPC namespace: each namespace has its own, and a new one starts
/// with the kernel's defaults, not with its parent's values. `shmctl(IPC_INFO)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// `kernel.shmmni`: how many segments there may be.
    pub max_segments: u64,
    /// `kernel.shmmax`: the largest size of one segment, in bytes.
    pub max_segment_bytes: u64,
    /// `kernel.shmall`: how many pages all segments together may have.
    pub max_total_pages: u64,
    /// The smallest size of a segment, in bytes.
    pub min_segment_bytes: u64,
    /// The size of a page, in bytes.
    pub page_bytes: u64,
}

impl Limits {
    /// Asks the kernel.
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

/// What this IPC namespace has in use. `shmctl(SHM_INFO)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// How many segments there are.
    pub segments: u64,
    /// How many pages they have, touched or not.
    pub total_pages: u64,
    /// How many of those are in memory.
    pub resident_pages: u64,
    /// How many of those are swapped out.
    pub swapped_pages: u64,
    /// The highest index that is in use, as far as the kernel tells.
    #[serde(skip)]
    pub(crate) highest_index: i32,
}

impl Usage {
    /// Asks the kernel.
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

    /// Where a walk with `SHM_STAT` ends: at the highest index, which is in use too. gVisor does not
    /// tell it, but has as many segments as the last shmid says, removed ones included.
    pub(crate) fn last_index(&self) -> i32 {
        i32::try_from(self.segments).map_or(self.highest_index, |it| it.max(self.highest_index))
    }
}
