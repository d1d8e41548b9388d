//! The facts of this process that decide what it may access: user, groups, capabilities, filter,
//! label and user namespace. Plain data; [`Process::current`] reads it.

use std::fmt;
use std::fs;

use rustix::process::{getegid, geteuid, getgroups};
use rustix::thread;
use shm_core::IpcNamespace;

/// What the kernel asks about a process before it grants access to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The supplementary group ids.
    pub groups: Vec<u32>,
    /// The effective capabilities, one bit for each.
    pub capabilities: u64,
    /// Whether the capabilities count for the objects of this process's IPC namespace.
    pub ipc_capable: bool,
    /// The user ids that are mapped in this process's user namespace.
    pub uid_map: IdMap,
    /// The group ids likewise.
    pub gid_map: IdMap,
    /// Whether a seccomp filter is active; `None` if the kernel does not say.
    pub filtered: Option<bool>,
    /// The label of the security module, such as `docker-default (enforce)`.
    pub label: Option<String>,
}

/// A capability that can replace a permission: its name and its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Opens and enters every file and directory.
    DacOverride = 1,
    /// Opens every file for reading, and enters every directory.
    DacReadSearch = 2,
    /// Removes every file of a sticky directory.
    Fowner = 3,
    /// Reads and writes every System V object.
    IpcOwner = 15,
    /// Removes every System V object, among much else.
    SysAdmin = 21,
}

impl Capability {
    /// Returns the name without `CAP_`, as `--cap-add` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DacOverride => "DAC_OVERRIDE",
            Self::DacReadSearch => "DAC_READ_SEARCH",
            Self::Fowner => "FOWNER",
            Self::IpcOwner => "IPC_OWNER",
            Self::SysAdmin => "SYS_ADMIN",
        }
    }
}

impl Process {
    /// Reads the facts of the calling process.
    #[must_use]
    pub fn current() -> Self {
        let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).ok();
        let map = |file, overflow| {
            let parse = |text: String| IdMap::parse(&text, overflow_id(overflow));
            read(file).and_then(parse).unwrap_or_default()
        };
        let groups = getgroups().unwrap_or_default();
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            groups: groups.into_iter().map(rustix::process::Gid::as_raw).collect(),
            capabilities: thread::capabilities(None).map_or(0, |sets| sets.effective.bits()),
            // Where the kernel does not say, there are no other user namespaces.
            ipc_capable: IpcNamespace::grants_capabilities().unwrap_or(true),
            uid_map: map("uid_map", "overflowuid"),
            gid_map: map("gid_map", "overflowgid"),
            filtered: read("status").as_deref().and_then(parse_filtered),
            label: read("attr/current").as_deref().and_then(parse_label),
        }
    }

    /// Returns whether the capability is effective in the user namespace of the process.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities & 1 << capability as u32 != 0
    }

    /// Returns whether the process has the user id. Ids without a mapping are all shown as one id, so
    /// none of them is known to be its own.
    #[must_use]
    pub fn is_user(&self, uid: u32) -> bool {
        uid == self.uid && self.uid_map.maps(uid)
    }

    /// Returns whether the process is in the group.
    #[must_use]
    pub fn is_in_group(&self, gid: u32) -> bool {
        (gid == self.gid || self.groups.contains(&gid)) && self.gid_map.maps(gid)
    }
}

/// The id that stands for ids without a mapping, unless the kernel says otherwise.
const OVERFLOW: u32 = 65_534;

/// Returns the number in `/proc/sys/kernel/overflowuid` or `overflowgid`.
fn overflow_id(name: &str) -> u32 {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW)
}

/// The ids that are mapped in a user namespace: `/proc/self/uid_map` or `gid_map`.
///
/// The kernel shows all other ids as one, the overflow id. The usual map of a container, `0 100000
/// 65536`, maps the overflow id too, so who sees that id does not know what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap {
    ranges: Vec<IdRange>,
    overflow: u32,
}

/// A line of the map: `count` ids from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IdRange {
    inside: u32,
    outside: u32,
    count: u32,
}

/// The map of the first user namespace: every id is that id.
const IDENTITY: IdRange = IdRange { inside: 0, outside: 0, count: u32::MAX };

/// What is known of an id that the kernel shows in a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// It is mapped.
    Mapped,
    /// It is mapped, but it is also the overflow id, so it can stand for an id without a mapping.
    Unclear,
    /// It stands for an id without a mapping.
    Unmapped,
}

impl Default for IdMap {
    /// Maps every id to itself, as the first user namespace does.
    fn default() -> Self {
        Self { ranges: vec![IDENTITY], overflow: OVERFLOW }
    }
}

impl IdMap {
    /// Parses `/proc/PID/uid_map` or `gid_map`. Returns `None` if a line is invalid. `overflow` is the
    /// id that stands for ids without a mapping.
    #[must_use]
    pub fn parse(text: &str, overflow: u32) -> Option<Self> {
        let line = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            let mut next = || numbers.next()?.ok();
            Some(IdRange { inside: next()?, outside: next()?, count: next()? })
        };
        Some(Self { ranges: text.lines().map(line).collect::<Option<_>>()?, overflow })
    }

    /// Returns what is known of an id, as this user namespace shows it.
    #[must_use]
    pub fn mapping(&self, id: u32) -> Mapping {
        let has = |range: &IdRange| id.checked_sub(range.inside).is_some_and(|it| it < range.count);
        match self.ranges.iter().any(has) {
            false => Mapping::Unmapped,
            true if id == self.overflow && self.ranges != [IDENTITY] => Mapping::Unclear,
            true => Mapping::Mapped,
        }
    }

    /// Returns whether it is certain that the id, as this user namespace shows it, is mapped.
    #[must_use]
    pub fn maps(&self, id: u32) -> bool {
        self.mapping(id) == Mapping::Mapped
    }
}

impl fmt::Display for IdMap {
    /// Prints the lines of the file, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ranges.is_empty() {
            return f.write_str("empty");
        }
        for (number, IdRange { inside, outside, count }) in self.ranges.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{inside} {outside} {count}")?;
        }
        Ok(())
    }
}

/// Returns whether `/proc/PID/status` shows a seccomp filter; `None` if it does not say.
#[must_use]
pub fn parse_filtered(status: &str) -> Option<bool> {
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"))?;
    Some(mode.trim() == "2")
}

/// Returns the label in `/proc/PID/attr/current`; `None` if no module confines the process. A profile of
/// `AppArmor` in the mode `unconfined` refuses nothing.
#[must_use]
pub fn parse_label(text: &str) -> Option<String> {
    let label = text.trim_end_matches('\0').trim();
    let confines = !matches!(label, "" | "unconfined") && !label.ends_with(" (unconfined)");
    confines.then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{IdMap, Mapping, parse_filtered, parse_label};

    #[test]
    fn a_map_knows_its_ids_and_prints_its_lines() {
        let map =
            IdMap::parse("         0       1000          1\n  5 100000 10\n", 65_534).unwrap();
        let mapped: Vec<_> = [0, 1, 4, 5, 14, 15, 65_534].map(|id| map.maps(id)).into();
        assert_eq!(mapped, [true, false, false, true, true, false, false]);
        assert_eq!(map.to_string(), "0 1000 1, 5 100000 10");
        assert!(IdMap::default().maps(65_534));
        assert_eq!(IdMap::parse("", 65_534).unwrap().to_string(), "empty");
        assert_eq!(IdMap::parse("0 1\n", 65_534), None);
    }

    #[test]
    fn the_overflow_id_is_unclear_unless_every_id_is_mapped_to_itself() {
        let of = |text, overflow| IdMap::parse(text, overflow).unwrap();
        let usual = of("0 100000 65536\n", 65_534);
        assert_eq!(usual.mapping(65_534), Mapping::Unclear);
        assert_eq!(usual.mapping(65_533), Mapping::Mapped);
        assert_eq!(usual.mapping(65_536), Mapping::Unmapped);
        assert_eq!(of("0 100000 65536\n", 70_000).mapping(65_534), Mapping::Mapped);
        assert_eq!(of("0 1000 1\n", 65_534).mapping(65_534), Mapping::Unmapped);
        assert_eq!(of("0 0 4294967295\n", 65_534).mapping(65_534), Mapping::Mapped);
    }

    #[test]
    fn a_filter_is_mode_2() {
        let status = |mode| format!("Name:\tx\nSeccomp:\t{mode}\nSeccomp_filters:\t1\n");
        assert_eq!(parse_filtered(&status(2)), Some(true));
        assert_eq!(parse_filtered(&status(0)), Some(false));
        assert_eq!(parse_filtered("Name:\tx\n"), None);
    }

    #[test]
    fn labels_are_those_of_apparmor_and_selinux() {
        assert_eq!(parse_label("docker-default (enforce)\n").unwrap(), "docker-default (enforce)");
        let selinux = "system_u:system_r:container_t:s0:c1,c2";
        assert_eq!(parse_label(&format!("{selinux}\0")).unwrap(), selinux);
        for free in ["", "unconfined\n", "chrome (unconfined)\n"] {
            assert_eq!(parse_label(free), None, "{free}");
        }
    }
}
