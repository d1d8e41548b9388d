//! Evaluates the cells of a script from the results of its steps.

use crate::engine::EngineInfo;
use crate::engine::observation::Identity;
use crate::judge::quirk;
use crate::judge::results::{CellOutcome, CellResult, Run, Visibility};
use crate::judge::verdict::{self, StepResult, Verdict};
use crate::model::plan::Plan;
use crate::script::matrix::{Cell, Question};
use crate::script::{Action, Role};

/// The answer of one run to a question.
struct CellAnswer {
    predicted: Visibility,
    observed: Visibility,
    verdict: Verdict,
    /// The message of the engine's refusal.
    message: Option<String>,
    namespace: Option<Identity>,
    /// Whether a step before the observer's steps failed.
    broken: bool,
    /// Why the cell has no answer.
    unclear: Option<String>,
    /// Why the answer is not proven, if it is as predicted.
    doubt: Option<String>,
}

/// Evaluates one cell from all runs of the script at `index`.
#[must_use]
pub fn judge(
    question: &Question,
    index: usize,
    plan: &Plan,
    runs: &[Run],
    engine: &EngineInfo,
) -> CellResult {
    let cell = question.cell.clone();
    let mut answers: Vec<_> = runs.iter().map(|run| answer(question, plan, run)).collect();
    // A run without an answer counts only if no run has one. A failure always counts.
    if answers.iter().any(CellAnswer::is_clear) {
        answers.retain(CellAnswer::is_clear);
    }
    let failing: Vec<_> = answers.iter().filter(|it| it.fails()).collect();
    let unclear = answers.iter().find_map(|it| it.unclear.clone());
    let skipped = answers.iter().find(|it| matches!(it.verdict, Verdict::Skip(_)));
    let known = quirk::of(engine, &cell).filter(|_| failing.iter().all(|it| it.survived()));
    let (outcome, reason) = match (failing.first(), skipped) {
        (None, _) if unclear.is_some() => (CellOutcome::Unclear, unclear),
        (None, Some(skipped)) => (CellOutcome::Skipped, skipped.verdict.reason()),
        (None, None) => match answers.last() {
            Some(last) if last.predicted == Visibility::Refused => {
                (CellOutcome::Refused, last.message.clone())
            }
            _ => match answers.iter().find_map(|answer| answer.doubt.clone()) {
                Some(why) => (CellOutcome::Unproven, Some(why)),
                None => (CellOutcome::Agrees, None),
            },
        },
        (Some(first), _) => {
            let outcome = match known {
                Some(_) => CellOutcome::Quirk,
                None if failing.len() < answers.len() => CellOutcome::Unstable,
                None => CellOutcome::Differs,
            };
            let reason = first.verdict.reason().unwrap_or_default();
            let count = match answers.len() {
                1 => String::new(),
                count => format!(" ({} of {count} runs)", failing.len()),
            };
            (outcome, Some(reason + &count))
        }
    };
    CellResult {
        script: index,
        steps: question.steps.iter().chain(controls(question, plan)).cloned().collect(),
        predicted: answers.first().map_or(Visibility::Unknown, |answer| answer.predicted),
        observed: answers.iter().map(|answer| answer.observed).collect(),
        quirk: known.filter(|_| outcome == CellOutcome::Quirk),
        namespace: answers.into_iter().next_back().and_then(|answer| answer.namespace),
        cell,
        outcome,
        reason,
    }
}

/// Returns the result of a cell whose script the engine does not support.
pub(crate) fn skipped(question: &Question, index: usize, why: &str) -> CellResult {
    CellResult {
        cell: question.cell.clone(),
        script: index,
        steps: question.steps.clone(),
        predicted: Visibility::Unknown,
        observed: vec![],
        outcome: CellOutcome::Skipped,
        reason: Some(why.to_owned()),
        quirk: None,
        namespace: None,
    }
}

impl CellAnswer {
    fn new(predicted: Visibility, observed: Visibility, verdict: Verdict) -> Self {
        let (message, namespace, doubt, unclear) = (None, None, None, None);
        Self { predicted, observed, verdict, message, namespace, broken: false, unclear, doubt }
    }

    /// Returns the answer of a cell that its script has not reached.
    fn not_run(predicted: Visibility, why: &str) -> Self {
        let unclear = Some(format!("not run: {why}"));
        Self { unclear, ..Self::new(predicted, Visibility::Unknown, Verdict::Pass) }
    }

    fn fails(&self) -> bool {
        matches!(self.verdict, Verdict::Fail(_))
    }

    fn is_clear(&self) -> bool {
        self.unclear.is_none() || self.fails()
    }

    /// Returns whether the only difference is that the object survived, which a quirk can explain.
    fn survived(&self) -> bool {
        (self.predicted, self.observed, self.broken)
            == (Visibility::Absent, Visibility::Seen, false)
    }
}

fn answer(question: &Question, plan: &Plan, run: &Run) -> CellAnswer {
    let predicted = predicted(question, plan);
    let executed: Vec<_> =
        question.steps.iter().map_while(|id| verdict::find(&run.steps, id)).collect();
    if let Some(broken) = failed_preparation(&run.steps, &question.cell) {
        let observed = executed.last().map_or(Visibility::Unknown, |result| seen(result));
        let verdict = broken.verdict.clone();
        if is_lost(broken) {
            let why = verdict.reason().unwrap_or_default();
            return CellAnswer::not_run(
                predicted,
                &format!("step {}: {why}", broken.planned.step.id),
            );
        }
        return CellAnswer { broken: true, ..CellAnswer::new(predicted, observed, verdict) };
    }
    let all = executed.len() == question.steps.len();
    let last = executed.last().filter(|_| all);
    match executed.iter().find(|it| seen(it) != Visibility::Seen).or(last) {
        Some(deciding) => {
            let failed = |result: &&&StepResult| matches!(result.verdict, Verdict::Fail(_));
            let verdict = executed.iter().find(failed).unwrap_or(deciding).verdict.clone();
            let namespace = deciding.observed.as_ref().and_then(|it| it.namespace.clone());
            let unclear = missing_control(question, plan, run);
            let doubt = doubt(question, plan, run, &executed);
            let answer = CellAnswer::new(predicted, seen(deciding), verdict);
            CellAnswer { namespace, unclear, doubt, ..answer }
        }
        None => unanswered(question, predicted, run),
    }
}

/// Returns which planned control of a cell was not run, and why.
fn missing_control(question: &Question, plan: &Plan, run: &Run) -> Option<String> {
    let id = controls(question, plan).find(|id| verdict::find(&run.steps, id).is_none())?;
    let why = run.aborted.as_deref().unwrap_or("the script ended before");
    Some(format!("its control, step {id}, was not run: {why}"))
}

/// Returns why a cell that is as predicted is not proven: an unknown namespace, or a planned
/// control that did not succeed.
fn doubt(question: &Question, plan: &Plan, run: &Run, executed: &[&StepResult]) -> Option<String> {
    let find = |id: &String| verdict::find(&run.steps, id);
    let controls = controls(question, plan).filter_map(find);
    executed.iter().copied().chain(controls).find_map(verdict::doubt)
}

/// Returns the controls of a cell that are planned.
fn controls<'a>(question: &'a Question, plan: &'a Plan) -> impl Iterator<Item = &'a String> {
    let planned = |id: &&String| plan.steps().any(|it| it.step.id == **id);
    question.controls.iter().filter(planned)
}

/// Returns the prediction: that of the first step that does not succeed.
#[must_use]
pub fn predicted(question: &Question, plan: &Plan) -> Visibility {
    let find = |id: &String| {
        let planned = plan.steps().find(|planned| planned.step.id == *id)?;
        Some(Visibility::of(&planned.predicted))
    };
    let predicted: Option<Vec<_>> = question.steps.iter().map(find).collect();
    // A step is missing from the plan if the observer's container is refused.
    let Some(predicted) = predicted else { return Visibility::Refused };
    predicted.into_iter().find(|it| *it != Visibility::Seen).unwrap_or(Visibility::Seen)
}

/// Returns the answer for a cell whose steps were not planned, or not executed.
fn unanswered(question: &Question, predicted: Visibility, run: &Run) -> CellAnswer {
    let place = question.cell.observer.place();
    if predicted != Visibility::Refused {
        let why = run.aborted.as_deref().unwrap_or("the script ended before this step");
        return CellAnswer::not_run(predicted, why);
    }
    let is_refusal =
        |result: &&StepResult| result.planned.step.makes(place) && result.planned.is_refused();
    if let Some(refusal) = run.steps.iter().rev().find(is_refusal) {
        let message = refusal.observed.as_ref().map(|it| it.output.stderr_tail().to_string());
        let verdict = refusal.verdict.clone();
        return CellAnswer { message, ..CellAnswer::new(predicted, seen(refusal), verdict) };
    }
    if let Some(why) = &run.aborted {
        return CellAnswer::not_run(predicted, why);
    }
    let verdict = Verdict::Skip("no step of this cell was executed".to_owned());
    CellAnswer::new(predicted, Visibility::Unknown, verdict)
}

fn seen(result: &StepResult) -> Visibility {
    result.observed.as_ref().map_or(Visibility::Unknown, Visibility::of)
}

/// Returns whether a run should be repeated: an error ended it, or the kernel killed no process or
/// another one for memory. Both depend on the load of the machine.
#[must_use]
pub fn is_incomplete(run: &Run) -> bool {
    run.aborted.is_some() || run.steps.iter().any(is_lost)
}

fn is_lost(result: &StepResult) -> bool {
    result.planned.step.action == Action::ExhaustMemory
        && matches!(result.verdict, Verdict::Fail(_))
}

/// Returns the first preparation of a cell that did not pass, which invalidates the answer.
fn failed_preparation<'a>(steps: &'a [StepResult], cell: &Cell) -> Option<&'a StepResult> {
    let is_preparation = |result: &&StepResult| {
        let step = &result.planned.step;
        let is_of_mechanism = step.action.mechanism().is_none_or(|it| it == cell.mechanism);
        step.role == Role::Prepare && is_of_mechanism && cell.depends_on(step.place)
    };
    // Later failures may be consequences of the first.
    steps.iter().filter(is_preparation).find(|result| !matches!(result.verdict, Verdict::Pass))
}
