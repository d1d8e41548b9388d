//! A plan carried out on an engine.

use std::thread;

use shm_core::IpcNamespace;

use crate::engine::{Answer, Engine, EngineError};
use crate::interrupt::Interrupt;
use crate::observation::{Identity, Observation, State};
use crate::plan::{Plan, Planned};
use crate::script::{Action, Place};
use crate::verdict::{Judge, Verdict};

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step begins.
    Started(&'a Planned),
    /// A step has been judged.
    Finished(&'a StepResult),
}

/// A step, what came of it and how it is judged.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// The step and what was predicted.
    pub planned: Planned,
    /// What was observed; `None` where the step was not carried out.
    pub observed: Option<Observation>,
    /// How the two compare.
    pub verdict: Verdict,
}

/// Why a run ended before its last step.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", .step.as_deref().unwrap_or("before the first step"))]
pub struct Aborted {
    /// The step that was under way, in words.
    pub step: Option<String>,
    /// What went wrong.
    pub cause: Box<EngineError>,
}

/// Carries out every step of `plan`, stage by stage, judges it, and adds it to `results`.
///
/// A difference does not end the run: what follows shows how far it reaches.
///
/// # Errors
///
/// [`Aborted`] where a step could not be carried out, or the run was interrupted.
pub fn run(
    plan: &Plan,
    engine: &dyn Engine,
    interrupt: &Interrupt,
    results: &mut Vec<StepResult>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(), Aborted> {
    let host = IpcNamespace::current().ok().filter(|_| engine.is_on_this_host());
    let mut judge = Judge::new(plan.script.objects.key, host);
    for stage in &plan.stages {
        for planned in stage {
            tell(Event::Started(planned));
        }
        for (planned, answer) in stage.iter().zip(carry_out(stage, engine)) {
            let aborted = |cause| Aborted { step: Some(describe(planned)), cause: Box::new(cause) };
            let (observed, verdict) = match answer.map_err(aborted)? {
                Answer::Skipped(why) => (None, Verdict::Skip(why)),
                Answer::Observed(observed) if is_setback(planned, &observed) => {
                    let what = format!("{} refused", engine.info().name);
                    let transcript = observed.into();
                    return Err(aborted(EngineError::Refused { what, transcript }));
                }
                Answer::Observed(observed) => {
                    let verdict = judge.step(planned, &observed);
                    (Some(observed), verdict)
                }
            };
            let result = StepResult { planned: planned.clone(), observed, verdict };
            tell(Event::Finished(&result));
            results.push(result);
        }
        if let Some(signal) = interrupt.name() {
            let step = stage.last().map(|planned| format!("after {}", describe(planned)));
            let cause = EngineError::Script(format!("interrupted by {signal}"));
            return Err(Aborted { step, cause: Box::new(cause) });
        }
    }
    Ok(())
}

/// Whether the engine refused what it was predicted to do, which makes the rest meaningless.
fn is_setback(planned: &Planned, observed: &Observation) -> bool {
    observed.state == Some(State::Refused) && !planned.is_refused()
}

/// The steps of a stage side by side, the answers in their order.
fn carry_out(stage: &[Planned], engine: &dyn Engine) -> Vec<Result<Answer, EngineError>> {
    if let [planned] = stage {
        return vec![engine.carry_out(&planned.step)];
    }
    thread::scope(|scope| {
        let steps: Vec<_> =
            stage.iter().map(|planned| scope.spawn(|| engine.carry_out(&planned.step))).collect();
        let join = |step: thread::ScopedJoinHandle<'_, _>| {
            step.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        steps.into_iter().map(join).collect()
    })
}

/// A step in words, for messages.
#[must_use]
pub fn describe(planned: &Planned) -> String {
    let place = planned.step.place;
    match &planned.step.action {
        Action::Build => "building the image".to_owned(),
        Action::Run(_) | Action::Start => format!("starting {place}"),
        Action::Stop => format!("stopping {place}"),
        Action::Kill => format!("killing {place}"),
        Action::Restart => format!("restarting {place}"),
        Action::Pause => format!("pausing {place}"),
        Action::Unpause => format!("unpausing {place}"),
        Action::Remove => format!("removing {place}"),
        Action::Crash => format!("killing the process of {place} behind the engine's back"),
        Action::ExhaustMemory => format!("taking more memory than {place} may have"),
        Action::Processes => "asking which containers run".to_owned(),
        Action::Write(_, text) => format!("writing {text} in {place}"),
        Action::Read(_) => format!("reading in {place}"),
        Action::List => format!("listing in {place}"),
    }
}

/// The namespaces that a place was seen in, in order, each once for as long as it lasted.
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
