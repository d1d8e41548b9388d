//! From the steps of a script to its cells.

use crate::engine::EngineInfo;
use crate::engine::observation::Identity;
use crate::judge::quirk;
use crate::judge::results::{CellResult, Outcome, Run, Visibility};
use crate::judge::verdict::{self, Difference, StepResult, Verdict};
use crate::model::plan::Plan;
use crate::script::Role;
use crate::script::matrix::{Cell, Question};

/// What one run says of a cell.
struct CellAnswer {
    predicted: Visibility,
    observed: Visibility,
    verdict: Verdict,
    /// What the engine said, where it refused.
    said: Option<String>,
    namespace: Option<Identity>,
    /// Whether something went wrong before the question was asked.
    broken: bool,
    /// Why it is not proven, where it is as predicted.
    doubt: Option<String>,
}

/// What all runs of the script at `index` say of one of its cells.
#[must_use]
pub fn judge(
    question: &Question,
    index: usize,
    plan: &Plan,
    runs: &[Run],
    engine: &EngineInfo,
) -> CellResult {
    let cell = question.cell.clone();
    let answers: Vec<_> = runs.iter().map(|run| answer(question, plan, run)).collect();
    let failing: Vec<_> =
        answers.iter().filter(|it| matches!(it.verdict, Verdict::Fail(_))).collect();
    let skipped = answers.iter().find(|it| matches!(it.verdict, Verdict::Skip(_)));
    let known = quirk::of(engine, &cell).filter(|_| failing.iter().all(|it| it.outlives()));
    let (outcome, reason) = match (failing.first(), skipped) {
        (None, Some(skipped)) => (Outcome::Skipped, skipped.verdict.reason()),
        (None, None) => match answers.last() {
            Some(last) if last.predicted == Visibility::Refused => {
                (Outcome::Refused, last.said.clone())
            }
            _ => match answers.iter().find_map(|answer| answer.doubt.clone()) {
                Some(why) => (Outcome::Unproven, Some(why)),
                None => (Outcome::Agrees, None),
            },
        },
        (Some(first), _) => {
            let outcome = match known {
                Some(_) => Outcome::Quirk,
                None if failing.len() < answers.len() => Outcome::Unstable,
                None => Outcome::Differs,
            };
            let reason = first.verdict.reason().unwrap_or_default();
            let how_often = match answers.len() {
                1 => String::new(),
                count => format!(" ({} of {count} runs)", failing.len()),
            };
            (outcome, Some(reason + &how_often))
        }
    };
    CellResult {
        script: index,
        steps: question.steps.iter().chain(controls(question, plan)).cloned().collect(),
        predicted: answers.first().map_or(Visibility::Unknown, |answer| answer.predicted),
        observed: answers.iter().map(|answer| answer.observed).collect(),
        quirk: known.filter(|_| outcome == Outcome::Quirk),
        namespace: answers.into_iter().next_back().and_then(|answer| answer.namespace),
        cell,
        outcome,
        reason,
    }
}

/// A cell of a script for which the engine has no word.
pub(crate) fn skipped(question: &Question, index: usize, why: &str) -> CellResult {
    CellResult {
        cell: question.cell.clone(),
        script: index,
        steps: question.steps.clone(),
        predicted: Visibility::Unknown,
        observed: vec![],
        outcome: Outcome::Skipped,
        reason: Some(why.to_owned()),
        quirk: None,
        namespace: None,
    }
}

impl CellAnswer {
    /// Whether something is still seen, and nothing else went wrong: what a known difference may
    /// explain.
    fn outlives(&self) -> bool {
        (self.predicted, self.observed, self.broken)
            == (Visibility::Absent, Visibility::Seen, false)
    }
}

fn answer(question: &Question, plan: &Plan, run: &Run) -> CellAnswer {
    let predicted = predicted(question, plan);
    let find = |id: &String| run.steps.iter().find(|result| result.planned.step.id == *id);
    let carried_out: Vec<_> = question.steps.iter().map_while(find).collect();
    if let Some(broken) = broken_setting(&run.steps, &question.cell) {
        let observed = carried_out.last().map_or(Visibility::Unknown, |result| seen(result));
        let verdict = broken.verdict.clone();
        return CellAnswer { broken: true, ..CellAnswer::new(predicted, observed, verdict) };
    }
    let all = carried_out.len() == question.steps.len();
    let last = carried_out.last().filter(|_| all);
    match carried_out.iter().find(|it| seen(it) != Visibility::Seen).or(last) {
        Some(deciding) => {
            let failed = |result: &&&StepResult| matches!(result.verdict, Verdict::Fail(_));
            let verdict = carried_out.iter().find(failed).unwrap_or(deciding).verdict.clone();
            let namespace = deciding.observed.as_ref().and_then(|it| it.namespace.clone());
            let doubt = doubt(question, plan, run, &carried_out);
            CellAnswer { namespace, doubt, ..CellAnswer::new(predicted, seen(deciding), verdict) }
        }
        None => unasked(question, predicted, run),
    }
}

impl CellAnswer {
    fn new(predicted: Visibility, observed: Visibility, verdict: Verdict) -> Self {
        let (said, namespace, doubt) = (None, None, None);
        Self { predicted, observed, verdict, said, namespace, broken: false, doubt }
    }
}

/// Why a cell that is as predicted is not proven: a namespace that nobody names, or a control that was
/// planned and did not succeed.
fn doubt(
    question: &Question,
    plan: &Plan,
    run: &Run,
    carried_out: &[&StepResult],
) -> Option<String> {
    let find = |id: &String| run.steps.iter().find(|result| result.planned.step.id == *id);
    let controls: Vec<_> = controls(question, plan).map(|id| (id, find(id))).collect();
    if let Some((id, _)) = controls.iter().find(|(_, control)| control.is_none()) {
        return Some(format!("the script ended before step {id}, its control"));
    }
    let controls = controls.iter().filter_map(|(_, control)| *control);
    carried_out.iter().copied().chain(controls).find_map(verdict::doubt)
}

/// The controls of a cell that are carried out.
fn controls<'a>(question: &'a Question, plan: &'a Plan) -> impl Iterator<Item = &'a String> {
    let planned = |id: &&String| plan.stages.iter().flatten().any(|it| it.step.id == **id);
    question.controls.iter().filter(planned)
}

/// What the model says: the first of the steps that does not succeed decides.
#[must_use]
pub fn predicted(question: &Question, plan: &Plan) -> Visibility {
    let find = |id: &String| {
        let planned = plan.stages.iter().flatten().find(|planned| planned.step.id == *id)?;
        Some(Visibility::of(&planned.predicted))
    };
    let sights: Option<Vec<_>> = question.steps.iter().map(find).collect();
    // Without the step, the observer's container is refused.
    let Some(sights) = sights else { return Visibility::Refused };
    sights.into_iter().find(|sight| *sight != Visibility::Seen).unwrap_or(Visibility::Seen)
}

/// A cell whose steps are not in the plan, or were not reached.
fn unasked(question: &Question, predicted: Visibility, run: &Run) -> CellAnswer {
    let place = question.cell.observer.place();
    if predicted != Visibility::Refused {
        let why = run.aborted.as_deref().unwrap_or("the script ended before");
        return CellAnswer {
            broken: true,
            ..CellAnswer::new(predicted, Visibility::Unknown, aborted(why))
        };
    }
    let refusal = run
        .steps
        .iter()
        .rev()
        .find(|result| result.planned.step.makes(place) && result.planned.is_refused());
    match (refusal, &run.aborted) {
        (Some(refusal), _) => {
            let observed = refusal.observed.as_ref().map_or(Visibility::Unknown, Visibility::of);
            let said = refusal.observed.as_ref().map(|it| it.output.stderr_tail().to_string());
            CellAnswer { said, ..CellAnswer::new(predicted, observed, refusal.verdict.clone()) }
        }
        (None, Some(why)) => CellAnswer {
            broken: true,
            ..CellAnswer::new(predicted, Visibility::Unknown, aborted(why))
        },
        (None, None) => {
            let verdict = Verdict::Skip("nobody was asked".to_owned());
            CellAnswer::new(predicted, Visibility::Unknown, verdict)
        }
    }
}

fn seen(result: &StepResult) -> Visibility {
    result.observed.as_ref().map_or(Visibility::Unknown, Visibility::of)
}

/// What went wrong before the question was asked, or could not be done: a cell is only as good.
fn broken_setting<'a>(steps: &'a [StepResult], cell: &Cell) -> Option<&'a StepResult> {
    let is_setting = |result: &&StepResult| {
        let step = &result.planned.step;
        let is_of_cell = step.action.mechanism().is_none_or(|it| it == cell.mechanism);
        step.role == Role::Prepare && is_of_cell
    };
    // The first: what follows it may be its consequence.
    steps.iter().filter(is_setting).find(|result| !matches!(result.verdict, Verdict::Pass))
}

/// The verdict on a cell whose script could not be carried out.
fn aborted(why: &str) -> Verdict {
    Verdict::Fail(Difference {
        what: "script",
        predicted: "carried out".to_owned(),
        observed: why.to_owned(),
    })
}
