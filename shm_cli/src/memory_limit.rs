//! The limit and the use of the memory cgroup of this process.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::mounts::{self, Mount};

/// A memory cgroup: that of this process, or a parent of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryGroup {
    /// Its directory.
    pub folder: PathBuf,
    /// The limit in bytes, or `None` without a limit.
    pub limit: Option<u64>,
    /// The use in bytes, with all caches.
    pub used: u64,
    /// The part of the use that is shared memory: tmpfs, System V segments, shared anonymous memory.
    pub shared: u64,
    /// The part of the use that is the cache of files. The kernel frees it if memory is needed.
    pub file_cache: u64,
}

/// The names of the files of a version of cgroups.
struct Version {
    limit: &'static str,
    used: &'static str,
    /// The prefix of the values in `memory.stat` that include the groups below.
    stat_prefix: &'static str,
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    stat_prefix: "total_",
};
const V2: Version = Version { limit: "memory.max", used: "memory.current", stat_prefix: "" };

/// Version 1 has this limit, rounded down to pages, if none was set.
const NO_LIMIT: u64 = i64::MAX.cast_unsigned() - 0xffff;

impl MemoryGroup {
    /// Returns the bytes that processes can still allocate without reaching the limit, or `None`
    /// without a limit. Swap can give more.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        let kept = self.used.saturating_sub(self.file_cache);
        self.limit.map(|limit| limit.saturating_sub(kept))
    }

    /// Reads a group. Returns `None` if the files are missing: the root of version 2 has none.
    fn read(folder: &Path, version: &Version) -> Option<Self> {
        let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let stat = text("memory.stat").unwrap_or_default();
        let value = |name| stat_value(&stat, version.stat_prefix, name);
        Some(Self {
            folder: folder.to_owned(),
            limit: parse_limit(&text(version.limit)?),
            used: text(version.used)?.trim().parse().ok()?,
            shared: value("shmem"),
            file_cache: value("active_file").saturating_add(value("inactive_file")),
        })
    }
}

/// Returns the memory cgroup of this process and its visible parents, from the inside out.
///
/// # Errors
///
/// The errors of `/proc`; `NotFound` if no memory cgroup is mounted in sight.
pub fn groups() -> io::Result<Vec<MemoryGroup>> {
    let cgroup = fs::read_to_string("/proc/self/cgroup")?;
    let (version, folders) = folders(&cgroup, &mounts::read()?).unwrap_or((&V2, vec![]));
    let groups: Vec<_> =
        folders.iter().filter_map(|folder| MemoryGroup::read(folder, version)).collect();
    if groups.is_empty() {
        let reason = "no memory cgroup with a limit file is mounted here";
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    Ok(groups)
}

/// Returns the group that has the fewest bytes left, or `None` if no group has a limit.
#[must_use]
pub fn tightest(groups: &[MemoryGroup]) -> Option<&MemoryGroup> {
    groups.iter().filter(|group| group.limit.is_some()).min_by_key(|group| group.left())
}

/// Returns the directories of the memory cgroup and of its visible parents, from the texts of
/// `/proc/PID/cgroup` and the mounts.
#[must_use]
pub fn visible_folders(cgroup: &str, mounts: &[Mount]) -> Vec<PathBuf> {
    folders(cgroup, mounts).map(|(_, folders)| folders).unwrap_or_default()
}

fn folders(cgroup: &str, mounts: &[Mount]) -> Option<(&'static Version, Vec<PathBuf>)> {
    let entries = || cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    // On a machine with both versions, the controller is in version 1 if it has a line there.
    let v1 = entries().find(|(names, _)| names.split(',').any(|name| name == "memory"));
    let (version, path) = match v1 {
        Some((_, path)) => (&V1, path),
        None => (&V2, entries().find(|(names, _)| names.is_empty())?.1),
    };
    let has_groups = |mount: &&Mount| match v1 {
        Some(_) => mount.file_system == "cgroup" && mount.options.iter().any(|it| it == "memory"),
        None => mount.file_system == "cgroup2",
    };
    // A container can have a mount of its own groups besides one of all groups.
    let is_above = |mount: &&Mount| Path::new(path).starts_with(&mount.root);
    let all = || mounts.iter().filter(has_groups);
    let mount = all().rfind(is_above).or_else(|| all().next_back())?;
    let point = PathBuf::from(&mount.mount_point);
    // A mount shows the groups from its root on. A path with `..` leads out of the cgroup namespace.
    let below = Path::new(path)
        .strip_prefix(&mount.root)
        .ok()
        .filter(|below| below.components().all(|part| matches!(part, Component::Normal(_))))
        .unwrap_or(Path::new(""));
    // Collecting the components drops the slash that joining an empty path appends.
    let folders = below.ancestors().map(|below| point.join(below).components().collect()).collect();
    Some((version, folders))
}

/// Parses a limit: a number, or `max` for no limit.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

/// Returns a value of `memory.stat`, or 0.
fn stat_value(stat: &str, prefix: &str, name: &str) -> u64 {
    let value = |line: &str| {
        let (found, value) = line.split_once(' ')?;
        (found.strip_prefix(prefix)? == name).then(|| value.trim().parse().ok())?
    };
    stat.lines().find_map(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{MemoryGroup, parse_limit, stat_value, tightest, visible_folders};
    use crate::mounts::parse;

    const V1: &str = "31 23 0:35 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const V1_CONTAINER: &str =
        "31 23 0:35 /docker/ID /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    const V2: &str = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";

    const TWO: &str = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n\
                       42 31 0:38 /other /mnt rw - cgroup2 cgroup rw\n";

    #[test]
    fn the_folders_of_the_group_and_its_visible_parents_are_found() {
        for (cgroup, mounts, folders) in [
            (
                "4:cpu,memory:/docker/ID\n0::/\n",
                V1,
                &["memory/docker/ID", "memory/docker", "memory/"][..],
            ),
            // The mount shows only the container's own group.
            ("4:memory:/docker/ID\n", V1_CONTAINER, &["memory/"]),
            ("0::/\n", V2, &[""]),
            ("0::/a.slice/b.scope\n", V2, &["a.slice/b.scope", "a.slice", ""]),
            ("0::/../other\n", V2, &[""]),
            // The last mount is of another group.
            ("0::/a\n", TWO, &["a", ""]),
            ("0::/\n", "", &[]),
            ("", V2, &[]),
        ] {
            let expected: Vec<_> =
                folders.iter().map(|it| PathBuf::from("/sys/fs/cgroup").join(it)).collect();
            assert_eq!(visible_folders(cgroup, &parse(mounts)), expected, "{cgroup}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!(parse_limit("67108864\n"), Some(67_108_864));
        for none in ["max\n", "9223372036854771712\n", "9223372036854710272\n"] {
            assert_eq!(parse_limit(none), None, "{none}");
        }
    }

    #[test]
    fn the_group_with_the_fewest_bytes_left_is_the_tightest() {
        let group = |limit, used, file_cache| MemoryGroup {
            folder: PathBuf::new(),
            limit,
            used,
            shared: 0,
            file_cache,
        };
        let groups = [group(Some(100), 90, 80), group(Some(200), 150, 0), group(None, 1_000, 0)];
        assert_eq!(groups.each_ref().map(MemoryGroup::left), [Some(90), Some(50), None]);
        assert_eq!(tightest(&groups), Some(&groups[1]));
        assert_eq!(tightest(&groups[2..]), None);
        assert_eq!(stat_value("shmem 5\ntotal_shmem 7\n", "total_", "shmem"), 7);
        assert_eq!(stat_value("shmem 5\n", "", "shmem"), 5);
    }
}
