//! What a run must know of the host's own shared memory, and must leave there as it was.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Result, bail};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use shm_core::posix::Name;
use shm_core::{Address, Carrier, Errno, Failure, IpcNamespace, Key, Segment, Target, table};

use crate::ledger::random_number;
use crate::observation::Identity;
use crate::run::StepResult;
use crate::script::{Action, Objects, Place, Script};

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

/// A key that nobody uses on the host.
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

/// How the names of the folders begin that are volumes of a matrix.
pub const VOLUME_PREFIX: &str = "shm_experiment.";

/// The file in such a folder that holds its [`Remains`].
const REMAINS: &str = "run.json";
/// The most bytes that it has: a key for each of some hundred scripts.
const MOST_OF_REMAINS: u64 = 1 << 20;

/// What a matrix may leave on the host where it is killed.
#[derive(Debug, Deserialize, Serialize)]
pub struct Remains {
    /// The process, as an [`Owner`](crate::ledger::Owner).
    pub owner: String,
    /// What all its scripts write.
    pub text: String,
    /// The keys under which they do.
    pub keys: Vec<i32>,
}

impl Remains {
    /// Puts it into the volume.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn write(&self, volume: &Path) -> io::Result<()> {
        fs::write(volume.join(REMAINS), serde_json::to_vec(self)?)
    }

    /// As text, for those that are left elsewhere.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is in the volume, where it is one. Containers may write there: a FIFO, a link or a file
    /// without end is none.
    #[must_use]
    pub fn read(volume: &Path) -> Option<Self> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file =
            File::options().read(true).custom_flags(flags).open(volume.join(REMAINS)).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut json = Vec::new();
        file.take(MOST_OF_REMAINS).read_to_end(&mut json).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Removes what is left on the host; says how many things that were.
    #[must_use]
    pub fn remove(&self) -> usize {
        let keys = self.keys.iter().filter_map(|key| Key::new(*key));
        keys.map(|key| remove_strays(Objects::from(key), &self.text)).sum()
    }
}

/// Removes what containers in the host's namespace left there under a script's names, where it
/// holds the script's text; says how many things that were.
#[must_use]
pub fn remove_strays(objects: Objects, text: &str) -> usize {
    let key = objects.key;
    let mut targets = vec![
        Target::Memory(Address::from(key)),
        Target::Carrier(Carrier::Semaphores(key)),
        Target::Carrier(Carrier::Queue(key)),
        Target::Carrier(Carrier::Mqueue(key)),
    ];
    if let Ok(name) = objects.name().parse::<Name>() {
        targets.push(Target::Memory(Address::from(name)));
    }
    let holds = |target: &&Target| text_in(target).is_some_and(|it| it == text.as_bytes());
    targets.iter().filter(holds).filter(|target| target.remove().is_ok()).count()
}

/// The start of the text in it, if it is there and may be read.
fn text_in(target: &Target) -> Option<Vec<u8>> {
    match target {
        Target::Memory(address) => {
            let mut text = Vec::new();
            address.open().ok()?.text().take(64).read_to_end(&mut text).ok()?;
            Some(text)
        }
        Target::Carrier(carrier) => carrier.read_text().ok(),
    }
}
