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
                let mut so_far = stages.iter().flatten();
                let finds_nothing =
                    |id: &str| so_far.any(|it| it.step.id == id && it.finds_nothing());
                if step.control_of().is_none_or(finds_nothing)
                    && let StepOutcome::Observed(predicted) = model.execute_step(step)?
                {
                    planned.push(PlannedStep { step: step.clone(), predicted });
                }
            }
            stages.push(planned);
        }
        Ok(Self { script, stages })
    }

    /// Iterates over the planned steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &PlannedStep> {
        self.stages.iter().flatten()
    }
}
