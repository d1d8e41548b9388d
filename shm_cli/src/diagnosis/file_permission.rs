//! The causes of refused permission for files: POSIX objects, regular files and POSIX queues.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, getxattr, statx};
use shm_core::posix::DIRECTORY;
use shm_core::posix::caution::{self, folder_of};
use shm_core::{Access, Key, text};

use super::Diagnosis;
use super::file_server;
use super::files::shown;
use super::permission::{Call, LET_REMOVE, Subject, add, gone, lack, owner, user};
use super::refusal::Refusal;
use super::way::Way;
use crate::access::{self, Permissions};
use crate::change::{Change, words_here};
use crate::process::Process;

/// Where containers mount the POSIX queues of their IPC namespace.
const QUEUES: &str = "/dev/mqueue";

/// Returns the cause why a call on a path was refused.
pub(super) fn file(call: Call, path: &Path) -> Diagnosis {
    let process = Process::current();
    let way = Way::to(path, call.access);
    let refusal = Refusal::of(call, &process).or(file_server::suspect(&way.end));
    match denied(call.access, path, &way, &process) {
        Some(denied) if refusal.is_proven() => refusal.diagnosis(&denied.cause),
        Some(denied) => denied,
        None if !refusal.is_proven() && is_gone(call.access, &way) => {
            gone(&format!("there is no file {}", shown(&way.end)))
        }
        None => refusal.diagnosis(&allowed(call, path, &process)),
    }
}

/// Returns the cause why a call on the POSIX message queue for a key was refused.
pub(super) fn queue(call: Call, key: Key, name: &str) -> Diagnosis {
    let path = PathBuf::from(format!("{QUEUES}/shm_{key}"));
    if caution::file_system_of(Path::new(QUEUES)) == Some("mqueue") {
        return file(call, &path);
    }
    // The directory of the queues has an owner and a mode, which count without a mount too.
    let object = if call.access == Access::Create { "directory of the queues" } else { name };
    Refusal::of(call, &Process::current()).diagnosis(&format!(
        "the owner and mode of the {object} are not known, because no mount at {QUEUES} shows it"
    ))
}

/// Returns the diagnosis if directories, owner, mode or attributes deny the access.
fn denied(access: Access, path: &Path, way: &Way, process: &Process) -> Option<Diagnosis> {
    let folder = folder_of(path);
    let closed = way.folders.iter().find_map(|it| entry_denied(it, "enter it", false, process));
    let changed = || match access {
        Access::Create => entry_denied(folder, "create files there", true, process),
        Access::Remove => entry_denied(folder, "remove files there", true, process),
        _ => None,
    };
    closed
        .or_else(changed)
        .or_else(|| use_denied(access, path, process))
        .or_else(|| protected(access, path, way))
}

fn entry_denied(folder: &Path, what: &str, change: bool, process: &Process) -> Option<Diagnosis> {
    let permissions = permissions(folder)?;
    let missing = access::directory(&permissions, change, process)?;
    let Permissions { uid, mode, .. } = permissions;
    let (name, user) = (shown(folder), user(process));
    let cause = format!(
        "{name} belongs to {} and has mode {mode:04o}: {user} cannot {what}{}",
        owner(&permissions, process),
        lack(missing, &permissions, process)
    );
    let change = if folder == Path::new(DIRECTORY) {
        format!(
            "let its owner change the mode (chmod 1777 {name}), or mount another one there ({})",
            words_here(Change::ShmMode)
        )
    } else {
        format!("let its owner change the mode or the owner of {name} (chmod, chown)")
    };
    let hint = if process.uid == 0 && process.uid_map.maps(uid) && !process.has(missing) {
        format!("{}; or {change}", add(missing))
    } else {
        change
    };
    Some(Diagnosis::new(cause, hint))
}

fn use_denied(access: Access, path: &Path, process: &Process) -> Option<Diagnosis> {
    let (name, object) = (shown(path), permissions(path)?);
    let subject = Subject { name: &name, object: &object, access, process };
    if access == Access::Remove {
        let folder = permissions(folder_of(path))?;
        let missing = access::sticky(&folder, &object, process)?;
        let cause = format!(
            "{}; in {}, which is sticky and belongs to {}, users remove only their own files",
            subject.denied(missing),
            shown(folder_of(path)),
            owner(&folder, process),
        );
        return Some(Diagnosis::new(cause, subject.hint(missing, LET_REMOVE)));
    }
    let missing = access::file(&object, access, process)?;
    let change = format!(
        "let the owner change the mode (chmod 0666 {name}), or remove it and create it again with a \
         --mode that includes this user"
    );
    Some(Diagnosis::new(subject.denied(missing), subject.hint(missing, &change)))
}

/// Returns the diagnosis if an attribute of the file or its directory forbids changes.
fn protected(access: Access, path: &Path, way: &Way) -> Option<Diagnosis> {
    let changed: &[&Path] = match access {
        Access::Unchecked | Access::Read => return None,
        Access::Write | Access::ReadWrite => &[&way.end],
        Access::Create => &[folder_of(path)],
        Access::Remove => &[path, folder_of(path)],
    };
    changed.iter().find_map(|path| {
        let answer = statx(CWD, *path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MODE).ok()?;
        let has = |attribute| answer.stx_attributes.contains(attribute);
        let (attribute, letter) = match () {
            () if has(StatxAttributes::IMMUTABLE) => ("immutable", 'i'),
            // An append-only directory takes new files.
            () if has(StatxAttributes::APPEND) && access != Access::Create => ("append-only", 'a'),
            () => return None,
        };
        let name = shown(path);
        Some(Diagnosis::new(
            format!("{name} has the attribute {attribute} (lsattr), which binds root too"),
            format!("let root remove the attribute: chattr -{letter} {name}"),
        ))
    })
}

/// Returns whether there is no file any more. The calls with the other accesses need none, or have it
/// open.
fn is_gone(access: Access, way: &Way) -> bool {
    !matches!(access, Access::Create | Access::Unchecked)
        && fs::symlink_metadata(&way.end).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Says that nothing that can be seen of the file denies the access, and which label and list it has.
fn allowed(call: Call, path: &Path, process: &Process) -> String {
    let (name, folder) = (shown(path), shown(folder_of(path)));
    let mut state = match (call.access, permissions(path)) {
        (Access::Create, _) if permissions(folder_of(path)).is_none() => {
            format!("the owner and mode of {folder} cannot be read")
        }
        (Access::Create, _) => {
            format!("the owner and mode of {folder} let {} create files", user(process))
        }
        (Access::Unchecked, _) => format!("{} needs no permission for an open file", call.name),
        (_, None) => format!("the owner and mode of {name} cannot be read"),
        (access, Some(object)) => {
            let subject = Subject { name: &name, object: &object, access, process };
            subject.allowed(call.name)
        }
    };
    let attribute = |name: &str| {
        let mut value = [0_u8; 256];
        getxattr(path, name, &mut value[..]).ok().map(|length| value[..length].to_vec())
    };
    if attribute("system.posix_acl_access").is_some() {
        state += "; it has an access control list (getfacl), which can deny it";
    }
    if let Some(label) = attribute("security.selinux") {
        let label = String::from_utf8_lossy(&label);
        let label = text::escape_line(label.trim_end_matches('\0').as_bytes());
        state.push_str("; its label is ");
        state.push_str(&label);
    }
    state
}

fn permissions(path: &Path) -> Option<Permissions> {
    fs::metadata(path).ok().map(|metadata| (&metadata).into())
}
