//! A script run on the model: its steps, each with what is predicted.

use shm_core::Errno;

use crate::engine::observation::{Observation, State, failed};
use crate::engine::{Engine, EngineError, Rules, StepOutcome, discover};
use crate::model::Model;
use crate::script::{Action, Script, Step};

/// A script with its predictions.
#[derive(Debug)]
pub struct Plan {
    /// The script.
    pub script: Script,
    /// Its stages, each step with what it is predicted to show.
    pub stages: Vec<Vec<PlannedStep>>,
}

/// A step with what it is predicted to show.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// What the model showed.
    pub predicted: Observation,
}

impl PlannedStep {
    /// Whether it is a reader that is predicted to find nothing.
    #[must_use]
    pub fn finds_nothing(&self) -> bool {
        let Action::Read(mechanism) = &self.step.action else { return false };
        self.predicted.tool_error() == failed("read", mechanism.call(), Errno::ENOENT).tool_error()
    }

    /// Whether the engine is predicted to refuse.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.predicted.state == Some(State::Refused)
    }
}

impl Plan {
    /// Runs `script` on the model of an engine. Steps in containers that do not run there, because
    /// the engine refuses to start them, are left out, and so are controls of readers that are
    /// predicted to find something.
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn new(script: Script, rules: Rules) -> Result<Self, EngineError> {
        let model = Model::new(discover::model().info, rules, script.objects);
        let mut stages: Vec<Vec<PlannedStep>> = Vec::with_capacity(script.stages.len());
        for stage in &script.stages {
            let mut planned = Vec::with_capacity(stage.0.len());
            for step in &stage.0 {
                let so_far = stages.iter().flatten();
                if step.control_of().is_some_and(|reader| !finds_nothing(so_far, reader)) {
                    continue;
                }
                if let StepOutcome::Observed(predicted) = model.execute_step(step)? {
                    planned.push(PlannedStep { step: step.clone(), predicted });
                }
            }
            stages.push(planned);
        }
        Ok(Self { script, stages })
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stages.iter().map(Vec::len).sum()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether the step `reader` is planned, and predicted to find nothing.
fn finds_nothing<'a>(mut steps: impl Iterator<Item = &'a PlannedStep>, reader: &str) -> bool {
    steps.any(|planned| planned.step.id == reader && planned.finds_nothing())
}
