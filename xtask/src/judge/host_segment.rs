//! The segment that has a script's key on this host: the run's own, or somebody else's.

use shm_cli::Failure;
use shm_cli::text::spaced;
use shm_core::{Address, Errno, IpcNamespace, Key, Segment};

use crate::engine::observation::{Identity, Observation};
use crate::engine::{EngineError, host};
use crate::judge::verdict::StepResult;
use crate::process::ledger::{Entry, Ledger, LedgerError, LeftoverManifest};
use crate::script::{Action, Place, Script, Step};

/// A segment with the script's key.
enum Found {
    /// The run made it.
    Ours(Segment),
    /// Nothing proves that the run made it; with the segment and its owner in words.
    Others(String),
}

/// What was found on this host under the key of a run after its end.
#[derive(Debug)]
pub enum Orphan {
    /// A segment that the run made there; it was removed, and this says so.
    Removed(String),
    /// A segment that stays, and why.
    Stays(String),
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
    let on_host = |step: &&Step| step.place == Place::Host && step.control_of().is_some();
    let text = script.steps().filter(on_host).find_map(|step| step.action.text())?;
    Some(LeftoverManifest { text: text.to_owned(), keys: vec![script.objects.host_control.raw()] })
}

/// What made a step on this host differ, where that is a text of somebody else under the script's key.
/// `before` are the steps until then.
#[must_use]
pub fn disturbance(
    script: &Script,
    before: &[StepResult],
    step: &Step,
    observed: &Observation,
) -> Option<EngineError> {
    let key = script.objects.of(step).key;
    let what = match find(script, key, before) {
        Some(Found::Others(whose)) => {
            format!("{whose} shows no text that only this run can have written")
        }
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
    let first = observed.output.stdout.split(|byte| *byte == b'\n').next();
    let has = |it: &str| first == Some(&spaced(it.as_bytes())[..]);
    matches!(step.action, Action::Read(_))
        && observed.output.exit_code == Some(0)
        && !script.texts().any(has)
}

/// Removes the segment that a run has made on this host under its key, which was free before. Says what was
/// found, if anything was.
#[must_use]
pub fn remove(script: &Script, steps: &[StepResult], ledger: &Ledger) -> Option<Orphan> {
    let left = remove_own(script, steps);
    // The control has removed its own.
    let control = find(script, script.objects.host_control, steps);
    if let (Some(manifest), None | Some(Found::Others(_))) = (manifest(script), control) {
        ledger.forget(|entry| *entry == Entry::Memory(manifest.clone()));
    }
    left
}

fn remove_own(script: &Script, steps: &[StepResult]) -> Option<Orphan> {
    let key = script.objects.key;
    Some(match find(script, key, steps)? {
        Found::Ours(segment) => match segment.remove() {
            Ok(()) => Orphan::Removed(format!(
                "a command of the run for a container made a segment, key {key}, on the host; it was \
                 removed"
            )),
            Err(error) if error.errno() == Some(Errno::EINVAL) => return None,
            Err(error) => Orphan::Stays(format!(
                "a command of the run for a container made a segment, key {key}, on the host, and it could \
                 not be removed: {}; next step: ipcrm --shmem-key {key}",
                Failure::from(error)
            )),
        },
        Found::Others(whose) => Orphan::Stays(format!(
            "{whose} shows no text that only this run can have written; it was left there"
        )),
    })
}

/// Looks for a segment. The run made it where it holds a text with the run's random word, or where a step in
/// a container was in this namespace and it holds another text of the script: everybody knows the article's.
fn find(script: &Script, key: Key, steps: &[StepResult]) -> Option<Found> {
    let segment = match Segment::find(key) {
        Ok(segment) => segment,
        Err(error) if error.errno() == Some(Errno::ENOENT) => return None,
        // One that may not be read is not ours.
        Err(error) => return Some(Found::Others(format!("a segment with key {key} ({error})"))),
    };
    let text = Address::from(key).open().ok().and_then(|memory| memory.text_start().ok());
    let is = |it: &str| text.as_deref() == Some(it.as_bytes());
    let controls = script.steps().filter_map(|step| match &step.action {
        Action::Control(_, text) => Some(text.as_str()),
        _ => None,
    });
    if controls.into_iter().any(is) || (script.texts().any(is) && was_on_the_host(steps)) {
        return Some(Found::Ours(segment));
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

/// Whether a step in a container was in this program's namespace.
fn was_on_the_host(steps: &[StepResult]) -> bool {
    let Ok(host) = IpcNamespace::current() else { return false };
    let host = Identity::Kernel(host);
    let in_container = |it: &&StepResult| it.planned.step.place != Place::Host;
    let mut observed = steps.iter().filter(in_container).filter_map(|it| it.observed.as_ref());
    observed.any(|it| it.namespace.as_ref() == Some(&host))
}
