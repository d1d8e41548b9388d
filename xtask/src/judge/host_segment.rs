//! The segment with the key of a script on this host, which belongs to the run or to others.

use shm_cli::Failure;
use shm_cli::text::spaced;
use shm_core::{Address, Errno, IpcNamespace, Key, Segment};

use crate::engine::observation::{Identity, Observation};
use crate::engine::{EngineError, host};
use crate::judge::verdict::{StepResult, Verdict};
use crate::process::ledger::{Entry, Ledger, LedgerError, LeftoverManifest};
use crate::script::{Action, Place, Script, Step};

/// A segment with the key of the script.
enum HostSegment {
    /// The run created it.
    Ours(Segment),
    /// Nothing proves that the run created it. Holds a description of the segment and its owner.
    Others(String),
}

/// A segment with the key of a run, found on this host after the run.
#[derive(Debug)]
pub enum Orphan {
    /// The run created the segment, and it was removed. Holds the message.
    Removed(String),
    /// The segment stays. Holds the message with the reason.
    Stays(String),
}

/// Records the segment of the script's control on this host in the ledger, so that `cargo xtask
/// clean` can remove it if this program is killed.
///
/// # Errors
///
/// [`LedgerError`] if the ledger cannot be written.
pub fn record(script: &Script, ledger: &Ledger) -> Result<(), LedgerError> {
    manifest(script).map_or(Ok(()), |manifest| ledger.record(Entry::Memory(manifest)))
}

/// Returns the ledger entry for the script's control on this host, if it has one.
fn manifest(script: &Script) -> Option<LeftoverManifest> {
    let on_host = |step: &&Step| step.place == Place::Host && step.control_of().is_some();
    let text = script.steps().filter(on_host).find_map(|step| step.action.text())?;
    Some(LeftoverManifest { text: text.to_owned(), keys: vec![script.objects.host_control.raw()] })
}

/// Returns the error if a step on this host differs because another process uses the key of the
/// script. `before` are the steps until then.
#[must_use]
pub fn disturbance(
    script: &Script,
    before: &[StepResult],
    result: &StepResult,
) -> Option<EngineError> {
    let (step, observed) = (&result.planned.step, result.observed.as_ref()?);
    let differs = matches!(result.verdict, Verdict::Fail(_));
    if step.place != Place::Host || !differs || !step.action.uses_segments() {
        return None;
    }
    let key = script.objects.of(step).key;
    let what = match find(script, key, before) {
        Some(HostSegment::Others(whose)) => {
            format!("{whose} contains no text that identifies this run")
        }
        _ if reads_another_text(script, step, observed) => {
            format!(
                "a segment with key {key}, since removed, contained a text not written by this run"
            )
        }
        _ => return None,
    };
    Some(EngineError::Disturbed { what, free: host::unused_key() })
}

/// Returns whether a reader printed a text that the script does not write.
fn reads_another_text(script: &Script, step: &Step, observed: &Observation) -> bool {
    let first = observed.output.stdout.split(|byte| *byte == b'\n').next();
    let has = |it: &str| first == Some(&spaced(it.as_bytes())[..]);
    matches!(step.action, Action::Read(_))
        && observed.output.exit_code == Some(0)
        && !script.texts().any(has)
}

/// Removes the segment that a run created on this host with its key, which was unused before the
/// run. Returns the segment that was found, or `None`.
#[must_use]
pub fn remove(script: &Script, steps: &[StepResult], ledger: &Ledger) -> Option<Orphan> {
    let found = remove_own(script, steps);
    // `run` has already removed the control's segment.
    let control = find(script, script.objects.host_control, steps);
    if let (Some(manifest), None | Some(HostSegment::Others(_))) = (manifest(script), control) {
        ledger.forget(|entry| *entry == Entry::Memory(manifest.clone()));
    }
    found
}

fn remove_own(script: &Script, steps: &[StepResult]) -> Option<Orphan> {
    let key = script.objects.key;
    Some(match find(script, key, steps)? {
        HostSegment::Ours(segment) => match segment.remove() {
            Ok(()) => Orphan::Removed(format!(
                "a command that should run in a container ran in the host's IPC namespace: it \
                 created a segment with key {key} there, which was removed"
            )),
            Err(error) if error.errno() == Some(Errno::EINVAL) => return None,
            Err(error) => Orphan::Stays(format!(
                "a command that should run in a container ran in the host's IPC namespace: it \
                 created a segment with key {key} there, which cannot be removed: {}; next step: \
                 ipcrm --shmem-key {key}",
                Failure::from(error)
            )),
        },
        HostSegment::Others(whose) => Orphan::Stays(format!(
            "{whose} contains no text that identifies this run; it was not removed"
        )),
    })
}

/// Returns the segment with `key`. The run created it if it contains a text with the random word of
/// the run. Any text of the script is proof only if a step in a container was in this namespace,
/// because the texts of the article are public.
fn find(script: &Script, key: Key, steps: &[StepResult]) -> Option<HostSegment> {
    let segment = match Segment::find(key) {
        Ok(segment) => segment,
        Err(error) if error.errno() == Some(Errno::ENOENT) => return None,
        // A segment of this run would be readable.
        Err(error) => {
            return Some(HostSegment::Others(format!("a segment with key {key} ({error})")));
        }
    };
    let text = Address::from(key).open().ok().and_then(|memory| memory.text_start().ok());
    let is = |it: &str| text.as_deref() == Some(it.as_bytes());
    let controls = script.steps().filter_map(|step| match &step.action {
        Action::Control(_, text) => Some(text.as_str()),
        _ => None,
    });
    if controls.into_iter().any(is) || (script.texts().any(is) && was_on_the_host(steps)) {
        return Some(HostSegment::Ours(segment));
    }
    let whose = segment.stat().map_or_else(
        |error| format!("of an unknown user ({error})"),
        |stat| {
            format!(
                "of user {}, created by process {} and last used by process {},",
                stat.uid, stat.cpid, stat.lpid
            )
        },
    );
    Some(HostSegment::Others(format!(
        "segment {} on this host {whose} with key {key}",
        segment.id()
    )))
}

/// Returns whether a step in a container was in the IPC namespace of this program.
fn was_on_the_host(steps: &[StepResult]) -> bool {
    let Ok(host) = IpcNamespace::current() else { return false };
    let host = Identity::Kernel(host);
    let in_container = |it: &&StepResult| it.planned.step.place != Place::Host;
    let mut observed = steps.iter().filter(in_container).filter_map(|it| it.observed.as_ref());
    observed.any(|it| it.namespace.as_ref() == Some(&host))
}
