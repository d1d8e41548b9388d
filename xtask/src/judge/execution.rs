//! Executes a plan on an engine and cleans up after it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::engine::cleanup::CleanUp;
use crate::engine::{Engine, EngineError};
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
    ended: Result<(), RunError>,
    cleaned: Result<usize, EngineError>,
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
    let (mut steps, started) = (Vec::with_capacity(plan.len()), Instant::now());
    let ended = run::run(plan, engine, interrupt, &mut steps, tell);
    let duration = started.elapsed();
    tell(RunEvent::CleaningUp);
    let cleaned = clean_up.now();
    Execution { steps, duration, ended, cleaned }
}

impl Execution {
    /// Returns the steps and their duration, with the error if the run ended early.
    ///
    /// # Errors
    ///
    /// Fails if the clean-up may have left something, with the error of the run as context.
    pub fn conclude(self) -> Result<Concluded> {
        let Self { steps, duration, ended, cleaned } = self;
        match (ended.err(), cleaned) {
            (error, Ok(removed)) => Ok(Concluded { steps, duration, error, removed }),
            (None, Err(left)) => Err(left.into()),
            (Some(error), Err(left)) => Err(left).context(error),
        }
    }
}

/// An execution whose clean-up succeeded or was not wanted.
#[derive(Debug)]
pub struct Concluded {
    /// The executed steps, in order.
    pub steps: Vec<StepResult>,
    /// The duration of the steps.
    pub duration: Duration,
    /// The error that ended the run before its last step.
    pub error: Option<RunError>,
    /// The number of objects that the clean-up removed.
    pub removed: usize,
}
