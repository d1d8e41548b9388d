//! Removes what killed runs left on the host itself.

use std::io;

use rustix::process::geteuid;
use shm_core::{Address, IpcObject, Key, Segment, Target};

use crate::commands::clean::Summary;
use crate::engine::host;
use crate::process::ledger::{Entry, LeftoverManifest};
use crate::process::untrusted::Untrusted;
use crate::process::volume;
use crate::script::Objects;

/// Removes the folders that a ledger names, and what containers left in the host's IPC namespace.
/// Returns the entries that remain.
pub(super) fn clean(entries: &[Entry], summary: &mut Summary) -> Vec<Entry> {
    let mut left = Vec::new();
    for entry in entries {
        let is_gone = match entry {
            Entry::Folder { run, path } => {
                !volume::is_there(path, run)
                    || summary.remove("host", Untrusted::path(path), || volume::remove(path, run))
            }
            Entry::Memory(manifest) => remove_objects(manifest, summary),
            _ => continue,
        };
        if !is_gone {
            left.push(entry.clone());
        }
    }
    left
}

/// Removes the objects of a run. Returns whether none is left.
fn remove_objects(manifest: &LeftoverManifest, summary: &mut Summary) -> bool {
    let mut is_gone = true;
    for key in manifest.keys.iter().filter_map(|key| Key::new(*key)) {
        let strays = host::strays(Objects::from(key), &manifest.text);
        let would_go = summary.dry_run && !strays.is_empty();
        for target in strays {
            let remove = || target.remove().map_err(|error| io::Error::other(error.to_string()));
            is_gone &= summary.remove("host", describe(&target, key), remove);
        }
        // The segment is empty if the run was killed before it wrote. Others may overwrite a text.
        if let Some(segment) = remaining_segment(key).filter(|_| !would_go) {
            is_gone = false;
            summary.report(format_args!(
                "host: left {segment}: a ledger names its key, but it does not hold the run's \
                 text\n  to remove it: ipcrm --shmem-key {key}"
            ));
        }
    }
    is_gone
}

/// Describes this user's segment with `key`, if there is one.
fn remaining_segment(key: Key) -> Option<String> {
    let segment = Segment::find(key).ok()?;
    let stat = segment.stat().ok()?;
    let ours = stat.uid == geteuid().as_raw();
    ours.then(|| format!("segment {} with key {key}", segment.id()))
}

/// Describes an object that has `key` or a name derived from it.
fn describe(target: &Target, key: Key) -> String {
    match target {
        Target::Memory(Address::SysV(_) | Address::Id(_)) => format!("segment {key}"),
        Target::Memory(Address::File(_)) => format!("/dev/shm/{}", Objects::from(key).name()),
        Target::IpcObject(IpcObject::Semaphores(_)) => format!("semaphores {key}"),
        Target::IpcObject(IpcObject::Queue(_)) => format!("message queue {key}"),
        Target::IpcObject(IpcObject::Mqueue(_)) => format!("POSIX message queue of {key}"),
    }
}
