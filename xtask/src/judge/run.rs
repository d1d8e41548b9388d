//! Executes a plan on an engine.

use std::collections::BTreeSet;

use shm_core::IpcNamespace;

use crate::engine::observation::{Identity, Observation, State};
use crate::engine::{Engine, EngineError, StepOutcome, hints, host};
use crate::judge::host_segment;
use crate::judge::verdict::{Judge, StepResult, Verdict};
use crate::model::plan::{Plan, PlannedStep};
use crate::process::interrupt::Interrupt;
use crate::process::parallel;
use crate::script::{Action, Objects, Place};

/// A progress event of a run.
#[derive(Debug)]
pub enum RunEvent<'a> {
    /// A step starts.
    Started(&'a PlannedStep),
    /// A step has ended and has a verdict.
    Finished(&'a StepResult),
    /// The clean-up starts.
    CleaningUp,
}

/// The error that ended a run before its last step.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}{}", .step.as_deref().unwrap_or("before the first step"), .next_step)]
pub struct RunError {
    /// The description of the current step.
    pub step: Option<String>,
    /// The cause.
    pub cause: Box<EngineError>,
    /// The next step on a separate line; empty if the cause contains it.
    pub next_step: String,
}

impl RunError {
    /// Returns whether the shared memory of another process ended the run.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        matches!(*self.cause, EngineError::Disturbed { .. })
    }

    fn at(planned: &PlannedStep, engine: &dyn Engine, cause: EngineError) -> Self {
        let next_step = hints::next_step(engine.info().name, &cause);
        let next_step = next_step.map_or_else(String::new, |it| format!("\nnext step: {it}"));
        Self { step: Some(describe(planned)), cause: Box::new(cause), next_step }
    }
}

/// Executes the stages of `plan` in order, and adds each step with its verdict to `results`.
///
/// A difference does not end the run, because later steps show its consequences.
///
/// # Errors
///
/// [`RunError`] if a step cannot be executed, or if the run is interrupted.
pub fn run(
    plan: &Plan,
    engine: &dyn Engine,
    interrupt: &Interrupt,
    results: &mut Vec<StepResult>,
    tell: &mut dyn FnMut(RunEvent<'_>),
) -> Result<(), RunError> {
    let host = IpcNamespace::current().ok().filter(|_| engine.is_on_this_host());
    let is_host = engine.is_on_this_host() && engine.info().name.is_real();
    let _removed_at_the_end = is_host.then_some(HostControls(plan));
    let mut judge = Judge::new(plan.script.objects.key, host);
    for stage in &plan.stages {
        for planned in stage {
            tell(RunEvent::Started(planned));
        }
        let answers = parallel::each(stage, AT_ONCE, interrupt, |planned| {
            engine.execute_step(&planned.step).map_err(|cause| RunError::at(planned, engine, cause))
        })?;
        for (planned, answer) in stage.iter().zip(answers) {
            let (observed, verdict) = match answer {
                StepOutcome::Skipped(why) => (None, Verdict::Skip(why)),
                // A refusal against the prediction makes the remaining steps meaningless.
                StepOutcome::Observed(observed)
                    if observed.state == Some(State::Refused) && !planned.is_refused() =>
                {
                    let cause = engine.refused(observed.output);
                    return Err(RunError::at(planned, engine, cause));
                }
                StepOutcome::Observed(observed) => {
                    let verdict = judge.step(planned, &observed);
                    let namespace = observed.identity(&planned.step.action);
                    (Some(Observation { namespace, ..observed }), verdict)
                }
            };
            let result = StepResult { planned: planned.clone(), observed, verdict };
            if engine.is_on_this_host()
                && let Some(cause) = host_segment::disturbance(&plan.script, results, &result)
            {
                return Err(RunError::at(planned, engine, cause));
            }
            tell(RunEvent::Finished(&result));
            results.push(result);
        }
        if let Some(signal) = interrupt.name() {
            let step = stage.last().map(|planned| format!("after {}", describe(planned)));
            let cause = EngineError::Script(format!("interrupted by {signal}"));
            return Err(RunError { step, cause: Box::new(cause), next_step: String::new() });
        }
    }
    Ok(())
}

/// Removes the objects of a plan's controls on this host when the run ends.
struct HostControls<'a>(&'a Plan);

impl Drop for HostControls<'_> {
    fn drop(&mut self) {
        let script = &self.0.script;
        let on_host = script.steps().filter(|step| step.place == Place::Host);
        let controls = on_host.filter(|step| step.control_of().is_some());
        let texts: BTreeSet<_> = controls.filter_map(|step| step.action.text()).collect();
        let objects = Objects { key: script.objects.host_control, ..script.objects };
        for text in texts {
            // The next run with the same key reports objects that cannot be removed.
            let _ = host::remove_strays(objects, text);
        }
    }
}

/// The maximum number of parallel steps. Engines cannot handle more.
const AT_ONCE: usize = 8;

/// Returns the description of a step for messages.
#[must_use]
pub fn describe(planned: &PlannedStep) -> String {
    let place = planned.step.place;
    match &planned.step.action {
        Action::Build => "building the image".to_owned(),
        Action::Run(_) | Action::Deploy(_) | Action::Start => format!("starting {place}"),
        Action::Finish => format!("ending the process of {place}"),
        Action::ChangeImage => format!("changing the image of {place}"),
        Action::KillSandbox => format!("killing the sandbox of {place}"),
        Action::RestartKubelet => format!("restarting the kubelet of {place}"),
        Action::Replace => format!("replacing {place}"),
        Action::Leak => format!("leaking a large segment in {place}"),
        Action::Stop => format!("stopping {place}"),
        Action::Kill => format!("killing {place}"),
        Action::Restart => format!("restarting {place}"),
        Action::Pause => format!("pausing {place}"),
        Action::Unpause => format!("unpausing {place}"),
        Action::Remove => format!("removing {place}"),
        Action::Crash => format!("killing the process of {place} without an engine command"),
        Action::ExhaustMemory => format!("exceeding the memory limit of {place}"),
        Action::Processes => "listing the running containers".to_owned(),
        Action::Write(_, text) => format!("writing {text} in {place}"),
        Action::Control(_, text) => format!("writing the control {text} in {place}"),
        Action::Read(_) => format!("reading in {place}"),
        Action::List => format!("listing in {place}"),
    }
}

/// Returns the namespaces of a place in order, without consecutive duplicates.
#[must_use]
pub fn namespaces(results: &[StepResult], place: Place) -> Vec<Identity> {
    let mut seen: Vec<Identity> = results
        .iter()
        .filter(|result| result.planned.step.place == place)
        .filter_map(|result| result.observed.as_ref()?.namespace.clone())
        .collect();
    seen.dedup();
    seen
}
