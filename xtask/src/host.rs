//! What a run must know of the host's own shared memory, and must leave there as it was.

use std::io::Read;

use anyhow::{Result, bail};
use shm_core::{Address, Errno, Failure, IpcNamespace, Key, Segment, table};

use crate::observation::Identity;
use crate::run::StepResult;
use crate::script::{Action, Place, Script};

/// Makes sure that nobody uses `key` on the host: reading it there is evidence only then.
///
/// # Errors
///
/// Where a segment has the key; the message names its owner.
pub fn demand_unused(key: Key) -> Result<()> {
    let segment = match Segment::find(key) {
        Ok(segment) => segment,
        Err(error) if error.errno() == Some(Errno::ENOENT) => return Ok(()),
        Err(error) => bail!("{}", Failure::from(error)),
    };
    let stats = table::list().unwrap_or_default();
    let owner = stats.iter().find(|stat| stat.shmid == segment.id()).map_or_else(
        || "somebody".to_owned(),
        |stat| format!("user {} (made by process {})", stat.uid, stat.cpid),
    );
    bail!(
        "key {key} is in use on this host: segment {} of {owner}. Reading it on the host would \
         show that segment and not what the containers wrote.\n\
         next step: choose another key, such as --key {}",
        segment.id(),
        free_key_after(key),
    )
}

/// Whether a segment has `key` on the host.
#[must_use]
pub fn is_in_use(key: Key) -> bool {
    Segment::find(key).is_ok()
}

fn free_key_after(key: Key) -> Key {
    let keys = (1..).filter_map(|step| Key::new(key.raw().wrapping_add(step)));
    keys.take(10_000).find(|key| !is_in_use(*key)).unwrap_or(key)
}

/// Removes the segment that a container left on the host, and says so.
///
/// Only where a container of the run was seen in the host's own namespace, and only a segment
/// that holds a text of the script: the key was unused before the run.
#[must_use]
pub fn remove_stray_segment(script: &Script, steps: &[StepResult]) -> Option<String> {
    let host = Identity::Kernel(IpcNamespace::current().ok()?);
    let on_host = |result: &StepResult| {
        let namespace = result.observed.as_ref().and_then(|observed| observed.namespace.as_ref());
        result.planned.step.place != Place::Host && namespace == Some(&host)
    };
    if !steps.iter().any(on_host) {
        return None;
    }
    let address = Address::from(script.objects.key);
    let mut text = Vec::new();
    address.open().ok()?.text().take(1024).read_to_end(&mut text).ok()?;
    let written = |action: &Action| matches!(action, Action::Write(_, it) if it.as_bytes() == text);
    if !script.steps().any(|step| written(&step.action)) {
        return None;
    }
    address.remove().ok()?;
    Some(format!(
        "a container left its segment, key {}, on the host; it was removed",
        script.objects.key
    ))
}
