//! The comparison of observations with predictions.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use shm_core::table::Row;
use shm_core::{IpcNamespace, Key};

use crate::engine::observation::{Identity, ModelNamespace, Observation, State};
use crate::model::plan::PlannedStep;
use crate::script::{Action, Conclusion, Evidence, Place, Script, Step};

/// The result of a step or a conclusion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As predicted.
    Pass,
    /// Not as predicted.
    Fail(Difference),
    /// As predicted, but without proof. Holds the reason.
    Unproven(String),
    /// Not executed on this engine. Holds the reason.
    Skip(String),
}

/// The first difference between an observation and its prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The name of the differing part, such as `exit status`.
    pub what: &'static str,
    /// The predicted value.
    pub predicted: String,
    /// The observed value.
    pub observed: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, predicted, observed } = self;
        write!(f, "{what}: predicted {predicted}, observed {observed}")
    }
}

impl Verdict {
    /// Returns its name.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::Unproven(_) => "unproven",
            Self::Skip(_) => "skip",
        }
    }

    /// Returns the reason, unless it is [`Verdict::Pass`].
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Pass => None,
            Self::Fail(difference) => Some(difference.to_string()),
            Self::Unproven(why) | Self::Skip(why) => Some(why.clone()),
        }
    }

    /// Returns whether it fails the run.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Fail(_) | Self::Unproven(_))
    }
}

/// A step with its observation and verdict.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// The step and its prediction.
    pub planned: PlannedStep,
    /// The observation; `None` if the step was not executed.
    pub observed: Option<Observation>,
    /// The comparison of the two.
    pub verdict: Verdict,
}

/// Returns the result of the step `id`.
#[must_use]
pub fn find<'a>(results: &'a [StepResult], id: &str) -> Option<&'a StepResult> {
    results.iter().find(|result| result.planned.step.id == id)
}

/// Compares the steps of one run in order, and maps the model's namespaces to the kernel's.
#[derive(Debug)]
pub struct Judge {
    key: Key,
    known: Vec<(ModelNamespace, IpcNamespace)>,
}

impl Judge {
    /// Creates a judge for a run with the segment key `key`. `host` is the namespace of the host.
    #[must_use]
    pub fn new(key: Key, host: Option<IpcNamespace>) -> Self {
        Self { key, known: host.map(|host| (ModelNamespace::HOST, host)).into_iter().collect() }
    }

    /// Compares the observation of a step with its prediction.
    pub fn step(&mut self, planned: &PlannedStep, observed: &Observation) -> Verdict {
        let predicted = &planned.predicted;
        if predicted.state == Some(State::Refused) || observed.state == Some(State::Refused) {
            let difference = differ("container", state(predicted), state(observed));
            return difference.map_or(Verdict::Pass, Verdict::Fail);
        }
        let identity = observed.identity(&planned.step.action);
        let difference = contradiction(planned, observed)
            .or_else(|| self.namespace(predicted, identity.as_ref()))
            .or_else(|| differ("exit status", exit_status(predicted), exit_status(observed)))
            .or_else(|| differ("container", state(predicted), state(observed)))
            .or_else(|| differ("running containers", running(predicted), running(observed)))
            .or_else(|| self.output(planned, observed));
        difference.map_or(Verdict::Pass, Verdict::Fail)
    }

    /// Returns a difference unless the model's namespaces map one to one to the kernel's: a known
    /// namespace must have the same identity as before, and a new one must have a new identity.
    fn namespace(
        &mut self,
        predicted: &Observation,
        observed: Option<&Identity>,
    ) -> Option<Difference> {
        let Some(Identity::Model(made)) = predicted.namespace else { return None };
        let namespace = match observed {
            Some(Identity::Kernel(namespace)) => namespace,
            // A foreign namespace cannot be compared, so only the output counts. An unknown one
            // makes conclusions unproven.
            Some(Identity::Unknown(_) | Identity::Foreign(_)) | None => return None,
            // The observation comes from the model.
            Some(Identity::Model(other)) => {
                return differ("IPC namespace", made.to_string(), other.to_string());
            }
        };
        let same = self.known.iter().find(|(known, _)| *known == made);
        let taken = self.known.iter().find(|(_, known)| known == namespace);
        let is_hosts = (made != ModelNamespace::HOST && namespace.is_initial())
            || taken.is_some_and(|(other, _)| *other == ModelNamespace::HOST);
        let predicted = match (same, taken) {
            (Some((_, known)), _) if known == namespace => return None,
            (Some((_, known)), _) => format!("the same as before, {known}"),
            (None, _) if is_hosts => "a new one, not the host's".to_owned(),
            (None, Some(_)) => "a new one, not one that was seen before".to_owned(),
            (None, None) => {
                self.known.push((made, namespace.clone()));
                return None;
            }
        };
        Some(Difference { what: "IPC namespace", predicted, observed: namespace.to_string() })
    }

    fn output(&self, planned: &PlannedStep, observed: &Observation) -> Option<Difference> {
        let predicted = &planned.predicted;
        match planned.step.action {
            Action::Write(..) | Action::Read(_) => {
                let quoted = |bytes: &[u8]| format!("{:?}", String::from_utf8_lossy(bytes));
                let lines = |o: &Observation| quoted(&unix_lines(&o.output.stdout));
                let first = |o: &Observation| quoted(o.tool_error());
                differ("output", lines(predicted), lines(observed))
                    .or_else(|| differ("standard error", first(predicted), first(observed)))
            }
            Action::List => {
                // Other processes may have segments in the host's namespace.
                let on_host = predicted.namespace == Some(Identity::Model(ModelNamespace::HOST));
                let everything = planned.step.place != Place::Host && !on_host;
                let rows = |o: &Observation| self.comparable(o.rows(), everything);
                differ("listing", rows(predicted), rows(observed))
            }
            _ => None,
        }
    }

    /// Returns the comparable part of a listing. The kernel chooses the shmids, and the image the
    /// names of owners.
    fn comparable(&self, rows: Option<Vec<Row>>, everything: bool) -> String {
        let Some(rows) = rows else { return "no listing".to_owned() };
        let lines: Vec<_> = rows
            .iter()
            .filter(|row| everything || row.key == self.key.raw())
            .map(|row| {
                let Row { key, perms, bytes, nattch, dest, .. } = row;
                let dest = if *dest { " dest" } else { "" };
                format!("0x{key:08x} {perms:o} {bytes} bytes, {nattch} attached{dest}")
            })
            .collect();
        match (lines.is_empty(), everything) {
            (true, true) => "no segments".to_owned(),
            (true, false) => format!("no segment with key {}", self.key),
            (false, _) => lines.join("; "),
        }
    }
}

/// Returns a difference if process and engine name different namespaces, or if the writer of a
/// control names none.
fn contradiction(planned: &PlannedStep, observed: &Observation) -> Option<Difference> {
    let engines = match &observed.namespace {
        Some(Identity::Kernel(namespace)) => Some(namespace),
        Some(Identity::Unknown(_)) => None,
        _ => return None,
    };
    let action = &planned.step.action;
    let (place, what) = (planned.step.place, "IPC namespace");
    match (observed.reported(action), engines) {
        (Some(own), Some(engines)) if !own.matches(engines) => Some(Difference {
            what,
            predicted: format!("that of {place}, {engines} according to the engine"),
            observed: format!("{own} according to the process"),
        }),
        (None, _)
            if matches!(action, Action::Control(..)) && observed.output.exit_code == Some(0) =>
        {
            let predicted = format!("named by the writer in {place}");
            Some(Difference { what, predicted, observed: "not named".to_owned() })
        }
        _ => None,
    }
}

/// Replaces CR LF, which terminals print, with LF.
fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let crlf = |index: usize| bytes[index] == b'\r' && bytes.get(index + 1) == Some(&b'\n');
    (0..bytes.len()).filter(|index| !crlf(*index)).map(|index| bytes[index]).collect()
}

fn differ(what: &'static str, predicted: String, observed: String) -> Option<Difference> {
    (predicted != observed).then_some(Difference { what, predicted, observed })
}

fn exit_status(observation: &Observation) -> String {
    observation
        .output
        .exit_code
        .map_or_else(|| "none, ended by a signal".to_owned(), |code| code.to_string())
}

fn state(observation: &Observation) -> String {
    match observation.state {
        Some(State::Running) => "running".to_owned(),
        Some(State::Paused) => "paused".to_owned(),
        Some(State::Exited) => "not running".to_owned(),
        Some(State::Gone) => "removed".to_owned(),
        Some(State::Refused) => "refused".to_owned(),
        None => "not queried".to_owned(),
    }
}

fn running(observation: &Observation) -> String {
    let Some(running) = &observation.running else { return "not queried".to_owned() };
    let names: Vec<_> = running.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Returns whether the evidence proves a conclusion, or `None` if a step is missing or shows
/// neither. `observe` returns the observation of a step.
pub fn holds<'a>(
    script: &Script,
    conclusion: &Conclusion,
    observe: impl Fn(&str) -> Option<&'a Observation>,
) -> Option<bool> {
    let shows = |evidence: &Evidence| {
        let step = script.steps().find(|step| step.id == evidence.step)?;
        observe(&step.id)?.shows(&step.action, script.objects.key, &evidence.shows)
    };
    let pieces: Vec<_> = conclusion.evidence.iter().map(shows).collect();
    // One counterexample disproves a conclusion, even if other steps are missing.
    if pieces.contains(&Some(false)) {
        return Some(false);
    }
    pieces.iter().all(Option::is_some).then_some(true)
}

/// Returns why the evidence does not prove a conclusion that is as predicted, or `None` if it does.
///
/// Each step must be as predicted and in a known namespace. Absence needs a control.
#[must_use]
pub fn missing_proof(conclusion: &Conclusion, steps: &[StepResult]) -> Option<String> {
    let evidence = || conclusion.evidence.iter().filter_map(|it| find(steps, &it.step));
    let is_evidence = |id: &str| conclusion.evidence.iter().any(|it| it.step == id);
    let controls = |place: Place| {
        let at_place = steps.iter().filter(move |it| it.planned.step.place == place);
        at_place.filter(move |it| it.planned.step.control_of().is_some_and(is_evidence))
    };
    let absent = evidence().filter(|result| result.planned.finds_nothing());
    let mut absent = absent.map(|result| &result.planned.step);
    if let Some(Step { id, .. }) = absent.find(|step| controls(step.place).next().is_none()) {
        return Some(format!("step {id} found nothing and has no control"));
    }
    let places: BTreeSet<_> = evidence().map(|result| result.planned.step.place).collect();
    evidence().chain(places.into_iter().flat_map(controls)).find_map(doubt)
}

/// Returns why a step proves nothing, or `None` if it is proof.
#[must_use]
pub fn doubt(result: &StepResult) -> Option<String> {
    let step = &result.planned.step;
    let (id, place, of) = (&step.id, step.place, step.control_of());
    let of = of.map(|it| format!(", the control of {it},")).unwrap_or_default();
    if result.verdict.is_bad() {
        let why = result.verdict.reason().unwrap_or_default();
        return Some(format!("step {id}{of} is not as predicted: {why}"));
    }
    if let Verdict::Skip(why) = &result.verdict {
        return Some(format!("step {id}{of} was not executed: {why}"));
    }
    match &result.observed.as_ref()?.namespace {
        Some(Identity::Unknown(why)) => Some(format!(
            "in step {id}, neither the engine nor the process in {place} names its IPC namespace: \
             {why}"
        )),
        _ => None,
    }
}

/// Compares the observed truth of a conclusion with its prediction.
#[must_use]
pub fn conclusion(predicted: Option<bool>, observed: Option<bool>) -> Verdict {
    if predicted.is_some() && predicted == observed {
        return Verdict::Pass;
    }
    let words = |holds| match holds {
        Some(true) => "it holds".to_owned(),
        Some(false) => "it does not hold".to_owned(),
        None => "the evidence is inconclusive".to_owned(),
    };
    let (predicted, observed) = (words(predicted), words(observed));
    Verdict::Fail(Difference { what: "conclusion", predicted, observed })
}
