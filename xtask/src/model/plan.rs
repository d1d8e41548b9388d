//! The plan: a script with the model's predictions.

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
    /// The planned steps of each stage.
    pub stages: Vec<Vec<PlannedStep>>,
}

/// A step with its prediction.
#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// The model's prediction.
    pub predicted: Observation,
}

impl PlannedStep {
    /// Returns whether it is a reader that is predicted to find nothing.
    #[must_use]
    pub fn finds_nothing(&self) -> bool {
        let Action::Read(mechanism) = &self.step.action else { return false };
        self.predicted.tool_error() == failed("read", mechanism.call(), Errno::ENOENT).tool_error()
    }

    /// Returns whether the engine is predicted to refuse.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.predicted.state == Some(State::Refused)
    }
}

impl Plan {
    /// Runs `script` on the model of an engine with `rules`. Leaves out steps in containers that do
    /// not run because the engine refuses them, and controls of readers that are predicted to find
    /// something.
    ///
    /// # Errors
    ///
    /// Returns the errors of the model.
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

    /// Returns the number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stages.iter().map(Vec::len).sum()
    }

    /// Returns whether the plan has no steps.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Returns whether the step `reader` is planned and predicted to find nothing.
fn finds_nothing<'a>(mut steps: impl Iterator<Item = &'a PlannedStep>, reader: &str) -> bool {
    steps.any(|planned| planned.step.id == reader && planned.finds_nothing())
}
