//! The causes of refused permission: EACCES and EPERM of System V objects.
//!
//! The object's owner and mode come first. If they allow the access, something else has refused it,
//! which [`Refusal`](super::refusal::Refusal) names.

use shm_core::{Access, Errno};

use super::Diagnosis;
use super::refusal::Refusal;
use super::sysvipc::Found;
use crate::access::{self, Permissions};
use crate::change::{Change, words_here};
use crate::process::{Capability, IdMap, Mapping, Process};

/// A call that was refused.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) errno: Errno,
    pub(super) access: Access,
}

/// Returns the cause why a call on a System V object was refused.
pub(super) fn system_v(call: Call, found: Found) -> Diagnosis {
    let process = Process::current();
    let refusal = Refusal::of(call, &process);
    let (name, object) = match found {
        Found::Object(name, object) => (name, object),
        Found::Absent(absent) if call.access == Access::Create => {
            return refusal
                .diagnosis(&format!("{absent}, and to create it no permission is needed"));
        }
        Found::Absent(absent) if refusal.is_proven() => return refusal.diagnosis(&absent),
        Found::Absent(absent) => return gone(&absent),
        Found::Hidden(what) => {
            return refusal.diagnosis(&format!("its owner and mode are not known: {what}"));
        }
    };
    let missing = access::system_v(&object, call.access, &process);
    let subject = Subject { name: &name, object: &object, access: call.access, process: &process };
    let otherwise = if call.access == Access::Remove { LET_REMOVE } else { RECREATE };
    match missing {
        Some(capability) if !refusal.is_proven() => {
            Diagnosis::new(subject.denied(capability), subject.hint(capability, otherwise))
        }
        Some(capability) => refusal.diagnosis(&subject.denied(capability)),
        None => refusal.diagnosis(&subject.allowed(call.name)),
    }
}

/// Returns the cause why a call that is about no object was refused.
pub(super) fn without_object(call: Call) -> Diagnosis {
    let state = format!("{} needs no permission for this", call.name);
    Refusal::of(call, &Process::current()).diagnosis(&state)
}

/// Returns the diagnosis if there is no object after the call. The kernel asks about permission only if
/// there is one.
pub(super) fn gone(absent: &str) -> Diagnosis {
    Diagnosis::new(
        format!("{absent} now, so the owner and mode that can have refused the call are not known"),
        "try again",
    )
}

/// How the owner of a System V object gives it another mode.
const RECREATE: &str = "let the owner remove it and create it again with a --mode that \
                                   includes this user, such as 0666";

/// How another user gets an object removed.
pub(super) const LET_REMOVE: &str = "let its owner remove it";

/// An object, the access to it, and the process that wants it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) object: &'a Permissions,
    pub(super) access: Access,
    pub(super) process: &'a Process,
}

impl Subject<'_> {
    /// Says that owner and mode deny the access, and which capability is missing.
    pub(super) fn denied(self, missing: Capability) -> String {
        let user = user(self.process);
        let may = match self.access {
            Access::Remove => "may not remove it",
            // A mode that grants one of the two denies the other.
            Access::ReadWrite if self.allows(Access::Read) => "may read it, but not write it",
            Access::ReadWrite if self.allows(Access::Write) => "may write it, but not read it",
            Access::ReadWrite => "may neither read nor write it",
            Access::Write => "may not write it",
            _ => "may not read it",
        };
        let lack = lack(missing, self.object, self.process);
        format!("{}: {user} {may}{}{lack}", self.belongs(), self.unless())
    }

    fn allows(self, access: Access) -> bool {
        self.object.let_use(access, self.process)
    }

    /// Says that owner and mode, or a capability, allow the access.
    pub(super) fn allowed(self, call: &str) -> String {
        let user = user(self.process);
        match self.access {
            Access::Unchecked | Access::Create => {
                format!("{call} needs no permission for {}", self.name)
            }
            Access::Remove => format!("{}, and {user} may remove it", self.belongs()),
            access => {
                let by = if self.allows(access) { "its mode lets" } else { "a capability lets" };
                let use_it = match access {
                    Access::Read => "read it",
                    Access::Write => "write it",
                    _ => "read and write it",
                };
                format!("{}, and {by} {user} {use_it}{}", self.belongs(), self.unless())
            }
        }
    }

    /// Says that owner and group are not known, if that can change the answer.
    fn unless(self) -> &'static str {
        if self.object.may_be_own(self.process) {
            ", unless that owner or its group is its own"
        } else {
            ""
        }
    }

    /// Names the owner and the mode, and the group if that would be enough.
    fn belongs(self) -> String {
        let Self { name, object, access, process } = self;
        let is_enough = object.let_group(access) && !object.let_use(access, process);
        let group = if is_enough {
            format!(" and {}", GROUP.name(object.gid, &process.gid_map))
        } else {
            String::new()
        };
        let owner = owner(object, process);
        format!("{name} belongs to {owner}{group} and has mode {:04o}", object.mode)
    }

    /// Returns the next step; `otherwise` is what the owner can do.
    pub(super) fn hint(self, missing: Capability, otherwise: &str) -> String {
        let Self { object, process, .. } = self;
        let Permissions { uid, .. } = *object;
        if object.is_owner(process) {
            return otherwise.to_owned();
        }
        match process.uid_map.mapping(uid) {
            Mapping::Mapped => {}
            Mapping::Unclear => {
                return format!(
                    "find its owner from outside of this user namespace (ls -n, shm_ls), and run this \
                     as that user there; or {otherwise}"
                );
            }
            Mapping::Unmapped => {
                return format!("run this in the user namespace of its owner; or {otherwise}");
            }
        }
        let owner = format!("run this as user {uid} ({})", words_here(Change::User(uid)));
        if process.uid == 0 && !process.has(missing) {
            return format!("{owner}, or {}", add(missing));
        }
        format!("{owner}; or {otherwise}")
    }
}

/// Returns the step that adds a capability.
pub(super) fn add(missing: Capability) -> String {
    let name = missing.name();
    format!("add the capability {name} ({})", words_here(Change::Capability(name)))
}

/// Names this user.
pub(super) fn user(process: &Process) -> String {
    let Process { uid, uid_map, .. } = process;
    let unmapped = match uid_map.mapping(*uid) {
        Mapping::Mapped => "",
        Mapping::Unclear => ", which is possibly not mapped in this user namespace,",
        Mapping::Unmapped => ", which is not mapped in this user namespace,",
    };
    format!("user {uid}{unmapped}")
}

/// The words for a kind of ids.
struct Kind {
    id: &'static str,
    unmapped: &'static str,
    map: &'static str,
}

const USER: Kind = Kind { id: "user", unmapped: "an owner", map: "uid_map" };
const GROUP: Kind = Kind { id: "group", unmapped: "a group", map: "gid_map" };

impl Kind {
    /// Names an id, as this user namespace shows it.
    fn name(&self, id: u32, map: &IdMap) -> String {
        let Self { id: kind, unmapped, map: file } = self;
        match map.mapping(id) {
            Mapping::Mapped => format!("{kind} {id}"),
            Mapping::Unclear => format!(
                "{unmapped} that is shown as {kind} {id} and is possibly not mapped in this user \
                 namespace ({file}: {map})"
            ),
            Mapping::Unmapped => {
                format!("{unmapped} that is not mapped in this user namespace ({file}: {map})")
            }
        }
    }
}

/// Names the owner of an object.
pub(super) fn owner(object: &Permissions, process: &Process) -> String {
    let Permissions { uid, cuid, .. } = *object;
    let map = &process.uid_map;
    let owner = USER.name(uid, map);
    if cuid == uid || !map.maps(uid) {
        return owner;
    }
    format!("{owner} (created by {})", USER.name(cuid, map))
}

/// Says why a capability does not help. Empty for an ordinary user, who is not expected to have one.
pub(super) fn lack(missing: Capability, object: &Permissions, process: &Process) -> String {
    let name = missing.name();
    if process.has(missing) {
        if matches!(missing, Capability::IpcOwner | Capability::SysAdmin) {
            return format!(
                "; its CAP_{name} does not count: another user namespace owns this IPC namespace"
            );
        }
        let mappings = [process.uid_map.mapping(object.uid), process.gid_map.mapping(object.gid)];
        let possibly = if mappings.contains(&Mapping::Unmapped) { "" } else { "possibly " };
        return format!(
            "; its CAP_{name} {possibly}does not count: it covers only owners and groups that are \
             mapped in this user namespace"
        );
    }
    if process.uid == 0 || missing == Capability::SysAdmin {
        return format!(", and has no CAP_{name}");
    }
    String::new()
}
