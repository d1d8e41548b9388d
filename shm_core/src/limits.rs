//! The limits and the usage of the calling process's IPC namespace.

use serde::Serialize;

use crate::sys;
use crate::{Error, Result};

/// The System V limits of this IPC namespace. Each namespace has separate limits. A new namespace
/// starts with the kernel's defaults, not with its parent's values. `shmctl(IPC_INFO)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
