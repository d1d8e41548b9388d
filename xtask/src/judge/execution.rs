//! Executes a plan on an engine and cleans up after it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::engine::Engine;
use crate::engine::cleanup::CleanUp;
use crate::judge::run::{self, RunError, RunEvent};
use crate::judge::verdict::StepResult;
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;

/// The result of a plan and of the clean-up.
#[derive(Debug)]
pub struct Execution {
    /// The executed steps, in order.
    pub steps: Vec<StepResult>,
    /// The duration of the steps.
    pub duration: Duration,
    /// The number of objects that the clean-up removed, and the error that ended the run before its
    /// last step. An error means that the clean-up may have left something; the error of the run is
    /// then its context.
    pub ended: Result<(usize, Option<RunError>)>,
}

/// Executes every step of `plan`, then cleans up, unless `keep` is set.
pub fn execute(
    plan: &Plan,
    engine: &dyn Engine,
    interrupt: &Interrupt,
    keep: bool,
    tell: &mut dyn FnMut(RunEvent<'_>),
) -> Execution {
    let clean_up = CleanUp::new(engine, !keep);
    let (mut steps, started) = (Vec::new(), Instant::now());
    let ended = run::run(plan, engine, interrupt, &mut steps, tell);
    let duration = started.elapsed();
    tell(RunEvent::CleaningUp);
    let ended = match (ended.err(), clean_up.now()) {
        (Some(error), Err(left)) => Err(left).context(error),
        (error, cleaned) => cleaned.map(|removed| (removed, error)).map_err(Into::into),
    };
    Execution { steps, duration, ended }
}
