//! What is done: scripts, as plain data.

use std::fmt;

use serde::{Serialize, Serializer};
use shm_core::Key;

pub mod article;
pub mod matrix;

/// Steps to carry out and what is concluded from them.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script's name in reports.
    pub name: String,
    /// The names under which its shared memory is found.
    pub objects: Objects,
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

/// The names of a script's shared memory, one a mechanism, all made from the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The System V segment's key.
    pub key: Key,
}

impl Objects {
    /// The POSIX object's name, and that of the file on the shared volume.
    #[must_use]
    pub fn name(self) -> String {
        format!("shm_experiment_{}", self.key)
    }
}

/// Steps that do not depend on one another: they are carried out side by side.
#[derive(Clone, Debug)]
pub struct Stage(pub Vec<Step>);

/// One action at one place.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique within the script.
    pub id: String,
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
    /// Makes the container and starts it.
    Run(Sharing),
    /// Starts the container again.
    Start,
    /// Asks the container's process to end, and waits until it has.
    Stop,
    /// Kills the container's process.
    Kill,
    /// Stops and starts in one command.
    Restart,
    /// Freezes the container's processes.
    Pause,
    /// Lets them go on.
    Unpause,
    /// Removes the container, running or not.
    Remove,
    /// Asks the engine which containers run.
    Processes,
    /// Writes a text with `shm_wr`.
    Write(Mechanism, String),
    /// Reads the text with `shm_rd`.
    Read(Mechanism),
    /// Lists the segments with `shm_ls`, or with `ipcs -m` where the image has it.
    List,
}

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// A System V segment: it lives in the IPC namespace.
    Sysv,
    /// A POSIX object: a file on whatever is mounted at `/dev/shm`.
    Posix,
    /// A file on a volume that all containers mount: the control, which is always shared.
    File,
}

impl Mechanism {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sysv => "sysv",
            Self::Posix => "posix",
            Self::File => "file",
        }
    }

    /// The call that finds what is shared.
    #[must_use]
    pub fn call(self) -> &'static str {
        match self {
            Self::Sysv => "shmget",
            Self::Posix => "shm_open",
            Self::File => "open",
        }
    }
}

/// How a container shares memory, in the words of `--ipc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// As the engine does it when it is not told.
    Default,
    /// A namespace and a `/dev/shm` of its own, which nobody may join.
    Private,
    /// A namespace and a `/dev/shm` of its own, which others may join.
    Shareable,
    /// Those of another container, the donor.
    Container(Container),
    /// The host's.
    Host,
    /// A namespace of its own, and no `/dev/shm` at all.
    None,
    /// A namespace of its own, and the host's `/dev/shm` bound in.
    HostShm,
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
