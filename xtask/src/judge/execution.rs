//! A plan carried out on an engine, with the clean-up after it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::engine::cleanup::CleanUp;
use crate::engine::{Engine, EngineError};
use crate::judge::run::{self, Event, RunError};
use crate::judge::verdict::StepResult;
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;

/// What came of a plan.
#[derive(Debug)]
pub struct Execution {
    /// The steps that were carried out, in order.
    pub steps: Vec<StepResult>,
    /// How long they took.
    pub duration: Duration,
    ended: Result<(), RunError>,
    cleaned: Result<usize, EngineError>,
}

/// Carries every step of `plan` out, then removes what the engine made, unless `keep`.
pub fn execute(
    plan: &Plan,
    engine: &dyn Engine,
    interrupt: &Interrupt,
    keep: bool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Execution {
    let clean_up = CleanUp::new(engine, !keep);
    let (mut steps, started) = (Vec::with_capacity(plan.len()), Instant::now());
    let ended = run::run(plan, engine, interrupt, &mut steps, tell);
    let duration = started.elapsed();
    tell(Event::CleaningUp);
    let cleaned = clean_up.now();
    Execution { steps, duration, ended, cleaned }
}

impl Execution {
    /// Returns the steps and their duration, and the error if the run ended before its last step.
    ///
    /// # Errors
    ///
    /// Fails if something may be left, with the run's own error as context.
    pub fn conclude(self) -> Result<Concluded> {
        let Self { steps, duration, ended, cleaned } = self;
        match (ended.err(), cleaned) {
            (error, Ok(removed)) => Ok(Concluded { steps, duration, error, removed }),
            (None, Err(left)) => Err(left.into()),
            (Some(error), Err(left)) => Err(left).context(error),
        }
    }
}

/// An execution that left nothing behind, or what it was told to keep.
#[derive(Debug)]
pub struct Concluded {
    /// The steps that were carried out, in order.
    pub steps: Vec<StepResult>,
    /// How long they took.
    pub duration: Duration,
    /// Why the run ended before its last step.
    pub error: Option<RunError>,
    /// How many things were removed after it.
    pub removed: usize,
}
