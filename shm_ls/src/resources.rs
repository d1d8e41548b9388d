//! What is limited, how much of it is used, and what is used up: pure rules on the facts.

use serde::Serialize;
use shm_cli::memory_limit::MemoryGroup;
use shm_core::table::semaphores::SetStat;

use crate::dev_shm::DevShm;
use crate::facts::{Facts, Reading};

/// Something with a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) description: String,
    pub(crate) in_bytes: bool,
    /// `None` without a limit.
    pub(crate) limit: Option<u64>,
    /// `None` for a limit of a single object.
    pub(crate) used: Option<u64>,
}

/// How much of a resource is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// More than 80 %.
    NearlyFull,
    Full,
}

/// A resource that is used up, or nearly.
#[derive(Debug, Serialize)]
pub(crate) struct NearlyUsed {
    resource: &'static str,
    description: String,
    limit: u64,
    used: u64,
    level: Level,
}

impl Resource {
    fn new(name: &'static str, description: &str, limit: u64, used: Option<u64>) -> Self {
        let (description, limit) = (description.to_owned(), Some(limit));
        Self { name, description, in_bytes: false, limit, used }
    }

    fn in_bytes(self) -> Self {
        Self { in_bytes: true, ..self }
    }

    /// Returns the limit and the use, if both are known.
    fn known(&self) -> Option<(u64, u64)> {
        Some((self.limit?, self.used?))
    }

    /// Returns the used part in percent, rounded down. Nothing is left of a limit of 0.
    pub(crate) fn percent(&self) -> Option<u128> {
        let (limit, used) = self.known()?;
        Some((u128::from(used) * 100).checked_div(u128::from(limit)).unwrap_or(100))
    }

    /// Returns the level, or `None` if enough is left.
    pub(crate) fn level(&self) -> Option<Level> {
        let (limit, used) = self.known()?;
        match () {
            () if used >= limit => Some(Level::Full),
            () if u128::from(used) * 5 > u128::from(limit) * 4 => Some(Level::NearlyFull),
            () => None,
        }
    }
}

/// Returns all resources whose limit could be read.
pub(crate) fn resources(facts: &Facts) -> Vec<Resource> {
    let mut all = Vec::new();
    all.extend(facts.dev_shm.read().into_iter().flat_map(dev_shm));
    all.extend(facts.memory.read().into_iter().flat_map(|groups| memory(groups)));
    all.extend(segments(facts).into_iter().flatten());
    all.extend(semaphores(facts).into_iter().flatten());
    all.extend(queues(facts).into_iter().flatten());
    all.extend(mqueues(facts).into_iter().flatten());
    all
}

/// Returns the resources that are used up, or nearly.
pub(crate) fn nearly_used(facts: &Facts) -> Vec<NearlyUsed> {
    let nearly = |resource: Resource| {
        let ((limit, used), level) = (resource.known()?, resource.level()?);
        let Resource { name: resource, description, .. } = resource;
        Some(NearlyUsed { resource, description, limit, used, level })
    };
    resources(facts).into_iter().filter_map(nearly).collect()
}

fn dev_shm(shm: &DevShm) -> [Resource; 2] {
    [("bytes", shm.size, shm.free), ("inodes", shm.inodes, shm.free_inodes)].map(
        |(what, limit, free)| Resource {
            name: "/dev/shm",
            description: what.to_owned(),
            in_bytes: what == "bytes",
            limit: (limit > 0).then_some(limit),
            used: (limit > 0).then(|| limit.saturating_sub(free)),
        },
    )
}

/// Returns the group of this process, and the parents that have a limit.
fn memory(groups: &[MemoryGroup]) -> Vec<Resource> {
    let row = |(level, group): (usize, &MemoryGroup)| {
        let description = match level {
            0 => "bytes without file cache".to_owned(),
            level => format!("the same of its parent {level}"),
        };
        (level == 0 || group.limit.is_some()).then(|| Resource {
            name: "memory cgroup",
            description,
            in_bytes: true,
            limit: group.limit,
            used: Some(group.used.saturating_sub(group.file_cache)),
        })
    };
    groups.iter().enumerate().filter_map(row).collect()
}

fn segments(facts: &Facts) -> Option<[Resource; 3]> {
    let limits = facts.limits.read()?;
    let usage = facts.usage.read();
    let (segments, pages) = (usage.map(|it| it.segments), usage.map(|it| it.total_pages));
    Some([
        Resource::new("kernel.shmmni", "segments", limits.max_segments, segments),
        Resource::new("kernel.shmall", "pages of all segments", limits.max_total_pages, pages),
        Resource::new("kernel.shmmax", "bytes of a segment", limits.max_segment_bytes, None)
            .in_bytes(),
    ])
}

fn semaphores(facts: &Facts) -> Option<[Resource; 4]> {
    const NAME: &str = "kernel.sem";
    let limits = facts.semaphore_limits.read()?;
    let sum =
        |sets: &Vec<SetStat>| sets.iter().fold(0, |sum: u64, set| sum.saturating_add(set.nsems));
    let all = facts.semaphores.read().map(sum);
    let row = |what: &str, limit, used| Resource::new(NAME, what, limit, used);
    Some([
        row("SEMMNI, sets of semaphores", limits.max_sets, count(&facts.semaphores)),
        row("SEMMNS, semaphores of all sets", limits.max_semaphores, all),
        row("SEMMSL, semaphores of a set", limits.max_set_semaphores, None),
        row("SEMOPM, operations of one semop(2)", limits.max_operations, None),
    ])
}

fn queues(facts: &Facts) -> Option<[Resource; 3]> {
    let limits = facts.queue_limits.read()?;
    let queues = count(&facts.queues);
    Some([
        Resource::new("kernel.msgmni", "System V message queues", limits.max_queues, queues),
        Resource::new("kernel.msgmax", "bytes of a message", limits.max_message_bytes, None)
            .in_bytes(),
        Resource::new("kernel.msgmnb", "bytes in a new queue", limits.max_queue_bytes, None)
            .in_bytes(),
    ])
}

fn mqueues(facts: &Facts) -> Option<[Resource; 3]> {
    let limits = facts.mqueue_limits.read()?;
    let size = limits.max_message_bytes;
    let [queues, messages, bytes] =
        ["POSIX message queues", "messages of a new queue", "bytes of a message"];
    Some([
        Resource::new("fs.mqueue.queues_max", queues, limits.max_queues, count(&facts.mqueues)),
        Resource::new("fs.mqueue.msg_max", messages, limits.max_messages, None),
        Resource::new("fs.mqueue.msgsize_max", bytes, size, None).in_bytes(),
    ])
}

fn count<T>(list: &Reading<Vec<T>>) -> Option<u64> {
    list.read().map(|list| list.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::{Level, Resource};

    #[test]
    fn more_than_80_percent_is_nearly_full_and_everything_is_full() {
        for (used, limit, percent, level) in [
            (0, 10, 0, None),
            (8, 10, 80, None),
            (801, 1000, 80, Some(Level::NearlyFull)),
            (999, 1000, 99, Some(Level::NearlyFull)),
            (10, 10, 100, Some(Level::Full)),
            (11, 10, 110, Some(Level::Full)),
            (0, 0, 100, Some(Level::Full)),
            (u64::MAX - 1, u64::MAX, 99, Some(Level::NearlyFull)),
        ] {
            let resource = Resource::new("name", "", limit, Some(used));
            assert_eq!(resource.percent(), Some(percent), "{used} of {limit}");
            assert_eq!(resource.level(), level, "{used} of {limit}");
        }
        assert_eq!(Resource::new("name", "", 10, None).level(), None);
    }
}
