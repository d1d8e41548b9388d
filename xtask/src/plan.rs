//! A script run on the model: its steps, each with what is predicted.

use crate::engine::discover;
use crate::engine::model::Model;
use crate::engine::{Answer, Engine, EngineError, Rules};
use crate::observation::{Observation, State};
use crate::script::{Script, Step};

/// A script with its predictions.
#[derive(Debug)]
pub struct Plan {
    /// The script.
    pub script: Script,
    /// Its stages, each step with what it is predicted to show.
    pub stages: Vec<Vec<Planned>>,
}

/// A step with what it is predicted to show.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// What the model showed.
    pub predicted: Observation,
}

impl Planned {
    /// Whether the engine is predicted to refuse.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.predicted.state == Some(State::Refused)
    }
}

impl Plan {
    /// Runs `script` on the model of an engine. Steps in containers that do not run there, because
    /// the engine refuses to start them, are left out.
    ///
    /// # Errors
    ///
    /// Those of the model.
    pub fn new(script: Script, rules: Rules) -> Result<Self, EngineError> {
        let model = Model::new(discover::model().info, rules, script.objects);
        let planned = |step: &Step| match model.carry_out(step) {
            Ok(Answer::Observed(predicted)) => Some(Ok(Planned { step: step.clone(), predicted })),
            Ok(Answer::Skipped(_)) => None,
            Err(error) => Some(Err(error)),
        };
        let stages = script
            .stages
            .iter()
            .map(|stage| stage.0.iter().filter_map(planned).collect())
            .collect::<Result<_, EngineError>>()?;
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
