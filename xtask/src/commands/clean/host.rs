//! What killed runs of the matrix have left on the host itself.

use std::io;

use rustix::process::geteuid;
use shm_core::{Address, IpcObject, Key, Segment, Target};

use crate::commands::clean::summary::Summary;
use crate::engine::host;
use crate::process::ledger::{Entry, LeftoverManifest};
use crate::process::untrusted::Untrusted;
use crate::process::volume;
use crate::script::Objects;

/// Removes the volumes that a ledger names, and what containers left in the host's namespace; says which
/// entries are left.
pub(super) fn clean(entries: &[Entry], summary: &mut Summary) -> Vec<Entry> {
    let mut left = Vec::new();
    for entry in entries {
        let is_gone = match entry {
            Entry::Folder { run, path } => {
                !volume::is_there(path, run)
                    || summary.remove("host", Untrusted::path(path), || volume::remove(path, run))
            }
            Entry::Memory(manifest) => shared_memory(manifest, summary),
            _ => continue,
        };
        if !is_gone {
            left.push(entry.clone());
        }
    }
    left
}

/// Says whether nothing is left of it.
fn shared_memory(manifest: &LeftoverManifest, summary: &mut Summary) -> bool {
    let mut is_gone = true;
    for key in manifest.keys.iter().filter_map(|key| Key::new(*key)) {
        let strays = host::strays(Objects::from(key), &manifest.text);
        let would_go = summary.is_dry_run() && !strays.is_empty();
        for target in strays {
            let remove = || target.remove().map_err(|error| io::Error::other(error.to_string()));
            is_gone &= summary.remove("host", describe(&target, key), remove);
        }
        // A run that was killed before it wrote its text leaves it empty, and anybody may overwrite a text.
        if let Some(segment) = others_segment(key).filter(|_| !would_go) {
            is_gone = false;
            summary.tell(format_args!(
                "host: left {segment}: a ledger names its key, and it does not hold the run's text\n  \
                 to remove it: ipcrm --shmem-key {key}"
            ));
        }
    }
    is_gone
}

/// A segment of this user under a key, after what holds the run's text was removed.
fn others_segment(key: Key) -> Option<String> {
    let segment = Segment::find(key).ok()?;
    let stat = segment.stat().ok()?;
    let ours = stat.uid == geteuid().as_raw();
    ours.then(|| format!("segment {} with key {key}", segment.id()))
}

/// An object that is found by a key or by a name made of it, for people.
fn describe(target: &Target, key: Key) -> String {
    match target {
        Target::Memory(Address::SysV(_)) => format!("segment {key}"),
        Target::Memory(Address::File(_)) => format!("/dev/shm/{}", Objects::from(key).name()),
        Target::IpcObject(IpcObject::Semaphores(_)) => format!("semaphores {key}"),
        Target::IpcObject(IpcObject::Queue(_)) => format!("message queue {key}"),
        Target::IpcObject(IpcObject::Mqueue(_)) => format!("POSIX message queue of {key}"),
    }
}
