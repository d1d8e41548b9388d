//! The results of a matrix, as plain values for reporters.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use shm_core::Errno;

use crate::engine::EngineInfo;
use crate::engine::observation::{Identity, Observation, State};
use crate::judge::quirk::Quirk;
use crate::judge::verdict::StepResult;
use crate::script::matrix::Cell;

/// The results of all cells on one engine.
#[derive(Debug)]
pub struct Grid {
    /// The engine.
    pub engine: EngineInfo,
    /// The time from the start of the first script to the end of the last one.
    pub duration: Duration,
    /// The scripts.
    pub scripts: Vec<ScriptRun>,
    /// The cells, grouped by script.
    pub cells: Vec<CellResult>,
    /// The quirks of the engine that did not show.
    pub gone: Vec<&'static Quirk>,
}

/// A script and its runs. The serialized form is that of the JSON report.
#[derive(Debug, Serialize)]
pub struct ScriptRun {
    /// The script's name: mode and event.
    pub name: String,
    /// The runs; empty if the engine does not support the script.
    pub runs: Vec<Run>,
}

/// One run of a script.
#[derive(Debug, Serialize)]
pub struct Run {
    /// The executed steps.
    pub steps: Vec<StepResult>,
    /// The error that ended the run before its last step.
    pub aborted: Option<String>,
}

/// The result of a cell.
#[derive(Debug)]
pub struct CellResult {
    /// The cell.
    pub cell: Cell,
    /// The index of its script in [`Grid::scripts`].
    pub script: usize,
    /// The ids of the steps that answer it, and of its planned controls.
    pub steps: Vec<String>,
    /// The prediction.
    pub predicted: Visibility,
    /// The observation of each run.
    pub observed: Vec<Visibility>,
    /// The comparison of the two.
    pub outcome: CellOutcome,
    /// The reason, unless the outcome is [`CellOutcome::Agrees`].
    pub reason: Option<String>,
    /// The quirk that explains the difference.
    pub quirk: Option<&'static Quirk>,
    /// The IPC namespace of the observer, in the last run.
    pub namespace: Option<Identity>,
}

/// The comparison of a cell with its prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CellOutcome {
    /// As predicted.
    Agrees,
    /// The engine refused the observer's container, as predicted.
    Refused,
    /// Not as predicted, because of a known difference.
    Quirk,
    /// As predicted, but without proof.
    Unproven,
    /// Not as predicted.
    Differs,
    /// As predicted in some runs only.
    Unstable,
    /// Not supported by this engine.
    Skipped,
}

impl fmt::Display for CellOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl CellOutcome {
    /// All outcomes, from best to worst.
    pub const ALL: [Self; 7] = [
        Self::Agrees,
        Self::Refused,
        Self::Quirk,
        Self::Skipped,
        Self::Unproven,
        Self::Unstable,
        Self::Differs,
    ];

    /// Returns whether it fails the run.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Differs | Self::Unstable | Self::Unproven)
    }
}

/// The visibility of an object to an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// The observer read the text.
    Seen,
    /// The object does not exist (ENOENT).
    Absent,
    /// A limit forbids the write (EINVAL or ENOSPC).
    Limited,
    /// The engine refused the container of the observer.
    Refused,
    /// Not known.
    Unknown,
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Visibility {
    /// Returns the visibility that an observation of a tool or of a start shows.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        match (observation.state, observation.output.exit_code) {
            (Some(State::Refused), _) => Self::Refused,
            // A successful start says nothing about the object.
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
}

/// Returns the errno in the error line of a tool.
fn errno(observation: &Observation) -> Option<Errno> {
    let line = String::from_utf8_lossy(observation.tool_error()).into_owned();
    let (_, rest) = line.split_once(" failed, errno: ")?;
    let number = rest.split_once(' ')?.0.parse().ok()?;
    Some(Errno::from_raw(number))
}

impl Grid {
    /// Returns whether all cells are proven, and all differences are known.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cells.iter().any(|cell| cell.outcome.is_bad())
    }

    /// Returns the number of cells with an outcome.
    #[must_use]
    pub fn count(&self, outcome: CellOutcome) -> usize {
        self.cells.iter().filter(|cell| cell.outcome == outcome).count()
    }

    /// Iterates over the rows of cells, one for each mode and event.
    pub fn rows(&self) -> impl Iterator<Item = &[CellResult]> {
        self.cells.chunk_by(|a, b| (a.cell.sharing, a.cell.event) == (b.cell.sharing, b.cell.event))
    }
}

impl CellResult {
    /// Returns the visibility if it is the same in every run, [`Visibility::Unknown`] otherwise.
    #[must_use]
    pub fn sight(&self) -> Visibility {
        match self.observed[..] {
            [first, ref others @ ..] if others.iter().all(|it| *it == first) => first,
            _ => Visibility::Unknown,
        }
    }
}
