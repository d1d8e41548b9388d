//! A warning before a write that the memory cgroup can end: the kernel kills without a word.

use std::path::Path;

use rustix::fs::statfs;
use shm_core::posix::caution::folder_of;
use shm_core::stat::SegmentId;
use shm_core::{Address, Segment, table};

use crate::change::{Change, words};
use crate::memory_limit;
use crate::place::Place;

/// `f_type` of a tmpfs, `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: u64 = 0x0102_1994;

/// The least size that is compared with the limit. For less, the comparison costs more than the
/// write.
const LEAST: u64 = 1 << 20;

/// Returns a warning if a write to `address` can exceed the memory limit of this process's container.
/// `allocated` is by how many bytes the memory grows, `text` is the longest possible text.
#[must_use]
pub fn memory_warning(address: &Address, allocated: u64, text: u64) -> Option<String> {
    let bytes = match address {
        // Its size is allocated at once, on a disk as a part of the cache that the kernel can free.
        Address::File(location) => {
            let folder = location.path();
            if is_tmpfs(folder_of(&folder)) { allocated } else { 0 }
        }
        // Only the pages that are written get memory, and those that have some keep it.
        Address::SysV(key) => growth(Segment::find(*key).ok().map(Segment::id), text),
        Address::Id(id) => growth(Some(*id), text),
    };
    if bytes < LEAST {
        return None;
    }
    let groups = memory_limit::groups().ok()?;
    let group = memory_limit::tightest(&groups)?;
    let (left, limit) = (group.left()?, group.limit?);
    (bytes > left).then(|| {
        format!(
            "warning: {bytes} bytes can exceed the memory limit, of which {left} of {limit} bytes \
             are left: the first process that touches a page pays for it, and the kernel kills \
             without a message; {}",
            words(Change::Memory, Place::current().engine)
        )
    })
}

/// Returns by how many bytes a text can make a segment grow in memory. The first pages of a segment
/// are assumed to be those that are in memory: texts begin there.
fn growth(segment: Option<SegmentId>, text: u64) -> u64 {
    text.saturating_sub(segment.and_then(table::resident_bytes).unwrap_or(0))
}

fn is_tmpfs(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|found| u64::try_from(found.f_type) == Ok(TMPFS))
}
