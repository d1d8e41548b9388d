//! The answers of the matrix, judged: plain values, for reporters to read.

use std::time::Duration;

use serde::Serialize;
use shm_core::Errno;

use crate::engine::EngineInfo;
use crate::engine::observation::{Identity, Observation, State};
use crate::judge::quirk::Quirk;
use crate::judge::verdict::StepResult;
use crate::script::matrix::Cell;

/// All cells of one engine.
#[derive(Debug)]
pub struct Grid {
    /// Where it ran.
    pub engine: EngineInfo,
    /// From the first script to the last.
    pub duration: Duration,
    /// What was carried out.
    pub scripts: Vec<ScriptRun>,
    /// The cells, those of a script together.
    pub cells: Vec<CellResult>,
    /// The known differences that should have shown, and did not.
    pub gone: Vec<&'static Quirk>,
}

/// A script, and what came of it each time that it was carried out.
#[derive(Debug)]
pub struct ScriptRun {
    /// The script's name: mode and event.
    pub name: String,
    /// Its runs; none where the engine has no word for it.
    pub runs: Vec<Run>,
}

/// One time that a script was carried out.
#[derive(Debug)]
pub struct Run {
    /// The steps up to its end.
    pub steps: Vec<StepResult>,
    /// Why that was not the last step of the script.
    pub aborted: Option<String>,
}

/// A cell, judged.
#[derive(Debug)]
pub struct CellResult {
    /// The question.
    pub cell: Cell,
    /// The script that answers it, by its place among [`Grid::scripts`].
    pub script: usize,
    /// The steps of that script that answer it, by their ids, and the controls that were planned.
    pub steps: Vec<String>,
    /// The model's answer.
    pub predicted: Visibility,
    /// The engine's, for each run.
    pub observed: Vec<Visibility>,
    /// How the two compare.
    pub outcome: Outcome,
    /// Why, where it does not simply agree.
    pub reason: Option<String>,
    /// The known difference that explains this one.
    pub quirk: Option<&'static Quirk>,
    /// The IPC namespace of the observer, in the last run.
    pub namespace: Option<Identity>,
}

/// How a cell compares with its prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As predicted.
    Agrees,
    /// The engine refused the observer's container, as predicted.
    Refused,
    /// Not as predicted, for a known reason.
    Quirk,
    /// As predicted, but without the proof that this is so.
    Unproven,
    /// Not as predicted.
    Differs,
    /// As predicted in some runs, and not in others.
    Unstable,
    /// Not a question for this engine.
    Skipped,
}

impl Outcome {
    /// All of them, the good ones first.
    pub const ALL: [Self; 7] = [
        Self::Agrees,
        Self::Refused,
        Self::Quirk,
        Self::Skipped,
        Self::Unproven,
        Self::Unstable,
        Self::Differs,
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Refused => "refused",
            Self::Quirk => "quirk",
            Self::Unproven => "unproven",
            Self::Differs => "differs",
            Self::Unstable => "unstable",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it fails the run.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Differs | Self::Unstable | Self::Unproven)
    }
}

/// What an observer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// The text.
    Seen,
    /// Nothing: ENOENT.
    Absent,
    /// A limit keeps it from writing: EINVAL or ENOSPC.
    Limited,
    /// Nothing, for its container was refused.
    Refused,
    /// Neither can be said.
    Unknown,
}

impl Visibility {
    /// What an observation of a tool, or of a start, shows.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        match (observation.state, observation.output.exit_code) {
            (Some(State::Refused), _) => Self::Refused,
            // A start that was not refused shows nothing yet.
            (Some(_), _) => Self::Unknown,
            (_, Some(0)) => Self::Seen,
            (_, Some(255)) => match errno(observation) {
                Some(Errno::ENOENT) => Self::Absent,
                Some(Errno::EINVAL | Errno::ENOSPC) => Self::Limited,
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Absent => "absent",
            Self::Limited => "limited",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// The number in the line in which a tool says what failed.
fn errno(observation: &Observation) -> Option<Errno> {
    let line = String::from_utf8_lossy(observation.tool_error()).into_owned();
    let (_, rest) = line.split_once(" failed, errno: ")?;
    let number = rest.split_once(' ')?.0.parse().ok()?;
    Some(Errno::from_raw(number))
}

impl Grid {
    /// Whether nothing differs that is not known to, and all of it is proven.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cells.iter().any(|cell| cell.outcome.is_bad())
    }

    /// How many cells came out like this.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.cells.iter().filter(|cell| cell.outcome == outcome).count()
    }

    /// The cells in rows, a mode and an event each.
    pub fn rows(&self) -> impl Iterator<Item = &[CellResult]> {
        self.cells.chunk_by(|a, b| (a.cell.sharing, a.cell.event) == (b.cell.sharing, b.cell.event))
    }
}

impl CellResult {
    /// What was seen, the same in every run or not.
    #[must_use]
    pub fn sight(&self) -> Visibility {
        match self.observed[..] {
            [first, ref others @ ..] if others.iter().all(|it| *it == first) => first,
            _ => Visibility::Unknown,
        }
    }
}
