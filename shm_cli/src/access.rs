//! The kernel's rules for access, on plain facts: `ipcperms` and `ipcctl_obtain_check` of
//! `ipc/util.c`, `generic_permission`, `may_create` and `may_delete` of `fs/namei.c`.
//!
//! Security modules, seccomp filters and access control lists are not part of the rules.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use shm_core::table::queues::QueueStat;
use shm_core::table::semaphores::SetStat;
use shm_core::{Access, Stat};

use crate::process::{Capability, Process};

/// Permission bits of a class of users.
const READ: u32 = 4;
const WRITE: u32 = 2;
const SEARCH: u32 = 1;
const STICKY: u32 = 0o1000;

/// Who owns an object, and what its mode grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The creator, who has the rights of the owner.
    pub cuid: u32,
    /// The creator's group.
    pub cgid: u32,
    /// The permission bits.
    pub mode: u32,
}

impl From<&Stat> for Permissions {
    fn from(stat: &Stat) -> Self {
        Self { uid: stat.uid, gid: stat.gid, cuid: stat.cuid, cgid: stat.cgid, mode: stat.mode }
    }
}

impl From<&SetStat> for Permissions {
    fn from(set: &SetStat) -> Self {
        let SetStat { uid, gid, cuid, cgid, mode, .. } = *set;
        Self { uid, gid, cuid, cgid, mode }
    }
}

impl From<&QueueStat> for Permissions {
    fn from(queue: &QueueStat) -> Self {
        let QueueStat { uid, gid, cuid, cgid, mode, .. } = *queue;
        Self { uid, gid, cuid, cgid, mode }
    }
}

impl From<&Metadata> for Permissions {
    fn from(file: &Metadata) -> Self {
        let (uid, gid) = (file.uid(), file.gid());
        Self { uid, gid, cuid: uid, cgid: gid, mode: file.mode() & 0o7777 }
    }
}

impl Permissions {
    /// Returns whether the process has the rights of the owner.
    #[must_use]
    pub fn is_owner(&self, process: &Process) -> bool {
        process.is_user(self.uid) || process.is_user(self.cuid)
    }

    /// Returns whether the owner or the group may be that of the process without being seen: all ids
    /// without a mapping are shown as one. The rules assume that it is not.
    #[must_use]
    pub fn may_be_own(&self, process: &Process) -> bool {
        let Process { uid, gid, groups, uid_map, gid_map, .. } = process;
        let hides_a_user = |ids: &[u32]| ids.iter().any(|id| !uid_map.maps(*id));
        let hides_a_group = |ids: &[u32]| ids.iter().any(|id| !gid_map.maps(*id));
        hides_a_user(&[*uid]) && hides_a_user(&[self.uid, self.cuid])
            || (hides_a_group(&[*gid]) || hides_a_group(groups))
                && hides_a_group(&[self.gid, self.cgid])
    }

    /// Returns whether the mode alone grants the bits.
    fn grant(&self, bits: u32, process: &Process) -> bool {
        let class = if self.is_owner(process) {
            6
        } else if process.is_in_group(self.gid) || process.is_in_group(self.cgid) {
            3
        } else {
            0
        };
        bits & !(self.mode >> class) == 0
    }

    /// Returns whether the mode alone, without a capability, grants reading or writing.
    #[must_use]
    pub fn let_use(&self, access: Access, process: &Process) -> bool {
        self.grant(bits(access), process)
    }

    /// Returns whether the mode grants the access to the group.
    #[must_use]
    pub fn let_group(&self, access: Access) -> bool {
        bits(access) & !(self.mode >> 3) == 0
    }
}

fn bits(access: Access) -> u32 {
    match access {
        Access::Unchecked | Access::Create | Access::Remove => 0,
        Access::Read => READ,
        Access::Write => WRITE,
        Access::ReadWrite => READ | WRITE,
    }
}

/// Returns the capability without which the kernel denies access to an existing System V object;
/// `None` if it allows it.
#[must_use]
pub fn system_v(object: &Permissions, access: Access, process: &Process) -> Option<Capability> {
    let (allowed, capability) = match access {
        Access::Remove => (object.is_owner(process), Capability::SysAdmin),
        _ => (object.let_use(access, process), Capability::IpcOwner),
    };
    let capable = process.ipc_capable && process.has(capability);
    (!allowed && !capable).then_some(capability)
}

/// Returns the capability without which the kernel denies reading or writing a file; `None` if it
/// allows it.
#[must_use]
pub fn file(file: &Permissions, access: Access, process: &Process) -> Option<Capability> {
    inode(file, bits(access), process)
}

/// Returns the capability without which the kernel denies entering a directory, or, with `change`,
/// creating and removing files there; `None` if it allows it.
#[must_use]
pub fn directory(folder: &Permissions, change: bool, process: &Process) -> Option<Capability> {
    inode(folder, if change { WRITE | SEARCH } else { SEARCH }, process)
}

/// Returns the capability without which the kernel denies removing a file because its directory is
/// sticky; `None` if it allows it.
#[must_use]
pub fn sticky(folder: &Permissions, file: &Permissions, process: &Process) -> Option<Capability> {
    let allowed = folder.mode & STICKY == 0 || [folder, file].iter().any(|it| it.is_owner(process));
    let capable = counts(Capability::Fowner, file, process);
    (!allowed && !capable).then_some(Capability::Fowner)
}

fn inode(inode: &Permissions, bits: u32, process: &Process) -> Option<Capability> {
    let reads = bits & WRITE == 0 && counts(Capability::DacReadSearch, inode, process);
    let capable = reads || counts(Capability::DacOverride, inode, process);
    (!inode.grant(bits, process) && !capable).then_some(Capability::DacOverride)
}

/// Returns whether it is certain that the capability counts for an inode: its owner and its group must
/// be mapped.
fn counts(capability: Capability, inode: &Permissions, process: &Process) -> bool {
    process.has(capability) && process.uid_map.maps(inode.uid) && process.gid_map.maps(inode.gid)
}

#[cfg(test)]
mod tests {
    use shm_core::Access::{Read, ReadWrite, Remove, Unchecked, Write};

    use super::{Permissions, directory, file, sticky, system_v};
    use crate::process::Capability::{DacOverride, DacReadSearch, Fowner, IpcOwner, SysAdmin};
    use crate::process::{Capability, IdMap, Process};

    fn of(uid: u32, mode: u32) -> Permissions {
        Permissions { uid, gid: uid, cuid: uid, cgid: uid, mode }
    }

    fn user(uid: u32, capabilities: &[Capability]) -> Process {
        Process {
            uid,
            gid: uid,
            groups: vec![],
            capabilities: capabilities.iter().map(|it| 1 << *it as u32).sum(),
            ipc_capable: true,
            uid_map: IdMap::default(),
            gid_map: IdMap::default(),
            filtered: Some(false),
            label: None,
        }
    }

    #[test]
    fn one_class_of_users_decides() {
        for (mode, uid, access, allowed) in [
            (0o600, 1, ReadWrite, true),
            (0o066, 1, Read, false),
            (0o066, 2, ReadWrite, true),
            (0o604, 2, Read, true),
            (0o604, 2, ReadWrite, false),
            (0o602, 2, Write, true),
            (0o000, 2, Unchecked, true),
            (0o666, 2, Remove, false),
            (0o000, 1, Remove, true),
        ] {
            let answer = system_v(&of(1, mode), access, &user(uid, &[]));
            assert_eq!(answer.is_none(), allowed, "{mode:04o} {uid} {access:?}");
        }
    }

    #[test]
    fn a_group_and_a_creator_count() {
        let object = Permissions { uid: 1, gid: 7, cuid: 2, cgid: 8, mode: 0o640 };
        for gid in [7, 8] {
            let member = Process { groups: vec![gid], ..user(3, &[]) };
            assert_eq!(system_v(&object, Read, &member), None);
            assert_eq!(system_v(&object, ReadWrite, &member), Some(IpcOwner));
        }
        assert_eq!(system_v(&object, ReadWrite, &user(2, &[])), None);
        assert_eq!(system_v(&object, Remove, &user(2, &[])), None);
    }

    #[test]
    fn root_is_its_capabilities() {
        let object = of(1, 0o600);
        assert_eq!(system_v(&object, Read, &user(0, &[DacOverride])), Some(IpcOwner));
        assert_eq!(system_v(&object, Read, &user(0, &[IpcOwner])), None);
        assert_eq!(system_v(&object, Remove, &user(0, &[IpcOwner])), Some(SysAdmin));
        assert_eq!(system_v(&object, Remove, &user(0, &[SysAdmin])), None);
        assert_eq!(file(&object, Read, &user(0, &[])), Some(DacOverride));
        assert_eq!(file(&object, Read, &user(0, &[DacReadSearch])), None);
        assert_eq!(file(&object, ReadWrite, &user(0, &[DacReadSearch])), Some(DacOverride));
        assert_eq!(file(&object, ReadWrite, &user(0, &[DacOverride])), None);
    }

    #[test]
    fn capabilities_count_only_in_their_user_namespace() {
        let all = [IpcOwner, SysAdmin, DacOverride, Fowner];
        let one = IdMap::parse("0 1000 1", 65_534).unwrap();
        let maps = Process { uid_map: one.clone(), gid_map: one, ..user(0, &all) };
        let inside = Process { ipc_capable: false, ..maps };
        let nobody = of(65_534, 0o600);
        assert_eq!(system_v(&of(0, 0o600), Read, &inside), None);
        assert_eq!(system_v(&nobody, Read, &inside), Some(IpcOwner));
        assert_eq!(system_v(&nobody, Remove, &inside), Some(SysAdmin));
        assert_eq!(file(&nobody, Read, &inside), Some(DacOverride));
        assert_eq!(sticky(&of(65_534, 0o1777), &nobody, &inside), Some(Fowner));
        // A user without a mapping is shown as 65534, but need not be the owner.
        let unmapped = Process { uid: 65_534, ..inside };
        assert_eq!(system_v(&nobody, Read, &unmapped), Some(IpcOwner));
        assert!(nobody.may_be_own(&unmapped));
    }

    #[test]
    fn no_capability_is_sure_to_count_for_an_owner_that_is_possibly_not_mapped() {
        let usual = IdMap::parse("0 100000 65536", 65_534).unwrap();
        let maps = Process { uid_map: usual.clone(), gid_map: usual, ..user(0, &[DacOverride]) };
        let inside = Process { ipc_capable: false, ..maps };
        let nobody = of(65_534, 0o600);
        assert_eq!(file(&of(1000, 0o600), Read, &inside), None);
        assert_eq!(file(&nobody, Read, &inside), Some(DacOverride));
        assert_eq!(system_v(&nobody, Read, &inside), Some(IpcOwner));
        assert!(!nobody.may_be_own(&inside));
        assert!(nobody.may_be_own(&Process { uid: 65_534, ..inside }));
    }

    #[test]
    fn a_directory_must_be_entered_and_its_sticky_bit_protects() {
        let user = user(2, &[]);
        assert_eq!(directory(&of(1, 0o755), false, &user), None);
        assert_eq!(directory(&of(1, 0o755), true, &user), Some(DacOverride));
        assert_eq!(directory(&of(1, 0o702), true, &user), Some(DacOverride));
        assert_eq!(directory(&of(1, 0o1777), true, &user), None);
        assert_eq!(sticky(&of(1, 0o1777), &of(3, 0o666), &user), Some(Fowner));
        assert_eq!(sticky(&of(1, 0o777), &of(3, 0o666), &user), None);
        assert_eq!(sticky(&of(2, 0o1777), &of(3, 0o666), &user), None);
        assert_eq!(sticky(&of(1, 0o1777), &of(2, 0o666), &user), None);
    }
}
