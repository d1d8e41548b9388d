//! The segment that has a script's key on this host: the script's own, or somebody else's.

use std::io::Read;

use shm_core::{Address, Errno, Failure, Key, Segment, text};

use crate::engine::EngineError;
use crate::host;
use crate::ledger::{Entry, Ledger, LedgerError, LeftoverManifest};
use crate::observation::Observation;
use crate::script::{Action, Place, Script, Step};

/// A segment with the script's key.
enum Found {
    /// It holds a text of the script.
    Ours,
    /// It holds another one, or cannot be read; with the segment and its owner in words.
    Others(String),
}

/// Writes down the segment that a script's control makes on this host, for `cargo xtask clean` to remove
/// where this program is killed.
///
/// # Errors
///
/// [`LedgerError`] where it cannot be written.
pub fn record(script: &Script, ledger: &Ledger) -> Result<(), LedgerError> {
    manifest(script).map_or(Ok(()), |manifest| ledger.record(Entry::Memory(manifest)))
}

/// What the script's control makes on this host, if there is one.
fn manifest(script: &Script) -> Option<LeftoverManifest> {
    let on_host = |step: &&Step| step.place == Place::Host && step.control_of.is_some();
    let text = script.steps().filter(on_host).find_map(|step| step.action.text())?;
    Some(LeftoverManifest { text: text.to_owned(), keys: vec![script.objects.host_control.raw()] })
}

/// What made a step on this host differ, where that is a text of somebody else under the script's key.
#[must_use]
pub fn disturbance(script: &Script, step: &Step, observed: &Observation) -> Option<EngineError> {
    let key = script.objects.of(step).key;
    let what = match find(script, key) {
        Some(Found::Others(whose)) => format!("{whose} has a text that the run did not write"),
        _ if reads_another_text(script, step, observed) => {
            format!(
                "a segment with key {key}, which is gone, had a text that the run did not write"
            )
        }
        _ => return None,
    };
    Some(EngineError::Disturbed { what, free: host::unused_key() })
}

/// Whether a reader got a text that the script has not.
fn reads_another_text(script: &Script, step: &Step, observed: &Observation) -> bool {
    let first = observed.stdout.split(|byte| *byte == b'\n').next();
    let has = |it: &str| first == Some(&text::spaced(it.as_bytes())[..]);
    matches!(step.action, Action::Read(_))
        && observed.exit_code == Some(0)
        && !script.texts().any(has)
}

/// Removes the segment that a run has left on this host under its key, which was free before: one
/// with a text of the script. Says what was found, if anything was.
#[must_use]
pub fn remove(script: &Script, ledger: &Ledger) -> Option<String> {
    let said = remove_own(script);
    // The control has removed its own.
    let control = find(script, script.objects.host_control);
    if let (Some(manifest), None | Some(Found::Others(_))) = (manifest(script), control) {
        ledger.forget(|entry| *entry == Entry::Memory(manifest.clone()));
    }
    said
}

fn remove_own(script: &Script) -> Option<String> {
    let key = script.objects.key;
    Some(match find(script, key)? {
        Found::Ours => match Address::from(key).remove() {
            Ok(()) => {
                format!(
                    "a command of the run left its segment, key {key}, on the host; it was removed"
                )
            }
            Err(error) if error.errno() == Some(Errno::ENOENT) => return None,
            Err(error) => format!(
                "a command of the run left its segment, key {key}, on the host, and it could not be \
                 removed: {}; next step: ipcrm --shmem-key {key}",
                Failure::from(error)
            ),
        },
        Found::Others(whose) => {
            format!("{whose} has a text that the run did not write; it was left there")
        }
    })
}

fn find(script: &Script, key: Key) -> Option<Found> {
    let segment = match Segment::find(key) {
        Ok(segment) => segment,
        Err(error) if error.errno() == Some(Errno::ENOENT) => return None,
        // One that may not be read is not ours.
        Err(error) => return Some(Found::Others(format!("a segment with key {key} ({error})"))),
    };
    let text = text_under(key);
    if script.texts().any(|it| text.as_deref() == Some(it.as_bytes())) {
        return Some(Found::Ours);
    }
    let whose = segment.stat().map_or_else(
        |error| format!("of somebody ({error})"),
        |stat| {
            format!(
                "of user {}, made by process {} and last used by process {},",
                stat.uid, stat.cpid, stat.lpid
            )
        },
    );
    Some(Found::Others(format!("segment {} on this host {whose} with key {key}", segment.id())))
}

/// The start of the text under `key`, longer than any text of a script.
fn text_under(key: Key) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    Address::from(key).open().ok()?.text().take(1024).read_to_end(&mut text).ok()?;
    Some(text)
}
