//! What is done: scripts, as plain data.

use std::fmt;

use serde::{Serialize, Serializer};
use shm_core::Key;

pub mod article;

/// Steps to carry out and what is concluded from them.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script's name in reports.
    pub name: &'static str,
    /// The key under which all its segments are made.
    pub key: Key,
    /// One after another.
    pub stages: Vec<Stage>,
    /// What the steps are evidence for.
    pub conclusions: Vec<Conclusion>,
}

impl Script {
    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.0)
    }
}

/// Steps that do not depend on one another: they are carried out side by side.
#[derive(Clone, Debug)]
pub struct Stage(pub Vec<Step>);

/// One action at one place.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique within the script.
    pub id: &'static str,
    /// The part of the script that it belongs to.
    pub section: &'static str,
    /// Where it is done.
    pub place: Place,
    /// What is done.
    pub action: Action,
}

/// A container, by its name in the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Container(pub &'static str);

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// Where a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// On the machine that the engine runs on, outside all containers.
    Host,
    /// In, or with, a container.
    In(Container),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.pad("host"),
            Self::In(container) => container.fmt(f),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes the image with the tools in it.
    Build,
    /// Makes the container and starts it, or starts it again after a stop.
    Start,
    /// Stops the container; it can be started again.
    Stop,
    /// Asks the engine which containers run.
    Processes,
    /// Writes a text with `shm_wr`.
    Write(&'static str),
    /// Reads the text with `shm_rd`.
    Read,
    /// Lists the segments with `shm_ls`, or with `ipcs -m` where the image has it.
    List,
}

/// A statement that evidence speaks for or against.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// Its name in reports.
    pub id: &'static str,
    /// What it says.
    pub statement: &'static str,
    /// It holds if every piece shows what is said here.
    pub evidence: Vec<Evidence>,
    /// The places whose namespaces explain it.
    pub places: Vec<Place>,
}

/// What a step must show for a conclusion to hold.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// The step's id.
    pub step: &'static str,
    /// What it must show.
    pub shows: Shows,
}

/// What can be seen of the shared memory under the script's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// There is none.
    Nothing,
    /// It holds this text.
    Text(&'static str),
}
