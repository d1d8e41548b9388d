//! Shared memory in the host's IPC namespace: checks before a run, and removal after it.

use anyhow::{Result, bail};
use shm_cli::Failure;
use shm_core::posix::Name;
use shm_core::{Address, Errno, IpcObject, Key, Segment, Target, table};

use crate::process::labels::random_number;
use crate::script::Objects;

/// Checks that no segment on the host has `key`: otherwise a read on the host proves nothing.
///
/// # Errors
///
/// Fails if a segment has the key. The message names its owner.
pub fn ensure_unused(key: Key) -> Result<()> {
    let segment = match Segment::find(key) {
        Ok(segment) => segment,
        Err(error) if error.errno() == Some(Errno::ENOENT) => return Ok(()),
        Err(error) => bail!("{}", Failure::from(error)),
    };
    let stats = table::list().unwrap_or_default();
    let owner = stats.iter().find(|stat| stat.shmid == segment.id()).map_or_else(
        || "an unknown owner".to_owned(),
        |stat| format!("user {} (made by process {})", stat.uid, stat.cpid),
    );
    bail!(
        "key {key} is in use on this host: segment {} of {owner}. A read on the host would \
         show that segment and not the containers' text.\n\
         next step: choose another key, such as --key {}",
        segment.id(),
        free_key_after(key),
    )
}

/// Returns whether a segment on the host has `key`.
fn is_in_use(key: Key) -> bool {
    Segment::find(key).is_ok()
}

/// Returns a random key without a segment on the host.
#[must_use]
pub fn unused_key() -> Key {
    loop {
        let [a, b, c, d, ..] = random_number().to_ne_bytes();
        let key = Key::new(i32::from_ne_bytes([a, b, c, d]));
        if let Some(key) = key.filter(|key| !is_in_use(*key)) {
            return key;
        }
    }
}

fn free_key_after(key: Key) -> Key {
    let keys = (1..).filter_map(|step| Key::new(key.raw().wrapping_add(step)));
    keys.take(10_000).find(|key| !is_in_use(*key)).unwrap_or(key)
}

/// Removes the objects that containers left in the host's namespace: those with the script's names
/// that contain its text. Returns the number removed.
#[must_use]
pub fn remove_strays(objects: Objects, text: &str) -> usize {
    strays(objects, text).iter().filter(|target| target.remove().is_ok()).count()
}

/// Returns the objects with the script's names whose text begins with `text`.
#[must_use]
pub fn strays(objects: Objects, text: &str) -> Vec<Target> {
    let key = objects.key;
    let mut targets = vec![
        Target::Memory(Address::from(key)),
        Target::IpcObject(IpcObject::Semaphores(key)),
        Target::IpcObject(IpcObject::Queue(key)),
        Target::IpcObject(IpcObject::Mqueue(key)),
    ];
    if let Ok(name) = objects.name().parse::<Name>() {
        targets.push(Target::Memory(Address::from(name)));
    }
    // An empty object, such as a new one of another program, matches no text.
    let holds = |target: &Target| text_in(target).is_some_and(|it| it.starts_with(text.as_bytes()));
    targets.retain(|target| !text.is_empty() && holds(target));
    targets
}

/// Returns the start of the text in an object, or `None` if it cannot be read.
fn text_in(target: &Target) -> Option<Vec<u8>> {
    match target {
        Target::Memory(address) => address.open().ok()?.text_start().ok(),
        Target::IpcObject(ipc_object) => ipc_object.read_text().ok(),
    }
}
