//! Scripts: the steps of a run and its conclusions, as plain data.

use std::fmt;

use serde::{Serialize, Serializer};
use shm_core::Key;

pub mod article;
pub mod matrix;
mod sharing;

pub use sharing::{Controller, Member, Pod, RunOptions, Setting, Sharing, Sysctl, Workload};

/// Ordered stages of steps, and the conclusions from them.
#[derive(Clone, Debug)]
pub struct Script {
    /// The script's name in reports.
    pub name: String,
    /// The names of its shared objects.
    pub objects: Objects,
    /// The stages, in order of execution.
    pub stages: Vec<Stage>,
    /// The conclusions that the steps prove.
    pub conclusions: Vec<Conclusion>,
}

impl Script {
    /// Iterates over all steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.0)
    }

    /// Iterates over the texts that the steps write.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.steps().filter_map(|step| step.action.text())
    }

    /// Removes the steps that write or read a mechanism for which `lacks` returns `true`.
    #[must_use]
    pub fn without(mut self, lacks: impl Fn(Mechanism) -> bool) -> Self {
        for stage in &mut self.stages {
            stage.0.retain(|step| !step.action.mechanism().is_some_and(&lacks));
        }
        self
    }
}

/// The names of the shared objects of a script, one for each mechanism, all derived from the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The key of the System V segment, the semaphores and the message queues.
    pub key: Key,
    /// The size that writers request, in bytes.
    pub size: u64,
    /// The key for controls on the host, where other processes may use `key`.
    pub host_control: Key,
}

impl From<Key> for Objects {
    fn from(key: Key) -> Self {
        Self { key, size: Self::DEFAULT_SIZE, host_control: key }
    }
}

impl Objects {
    /// The default size of `shm_wr`.
    pub const DEFAULT_SIZE: u64 = 1024;

    /// Returns the names that a step uses.
    #[must_use]
    pub fn of(self, step: &Step) -> Self {
        let is_control = step.place == Place::Host && step.control_of().is_some();
        Self { key: if is_control { self.host_control } else { self.key }, ..self }
    }

    /// Returns the name of the POSIX object and of the file on the volume.
    #[must_use]
    pub fn name(self) -> String {
        format!("shm_experiment_{}", self.key)
    }
}

/// Independent steps that run in parallel.
#[derive(Clone, Debug)]
pub struct Stage(pub Vec<Step>);

/// One action at one place.
#[derive(Clone, Debug)]
pub struct Step {
    /// The id, unique within the script.
    pub id: String,
    /// The section of the script, a heading in reports.
    pub section: &'static str,
    /// The place.
    pub place: Place,
    /// The action.
    pub action: Action,
    /// The purpose.
    pub role: Role,
}

/// The purpose of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It provides evidence for conclusions or cells.
    Observe,
    /// It creates a container, causes the event, or reads back a text before the event.
    Prepare,
    /// It shows that the reader `of` can find something. It runs only if that reader is predicted
    /// to find nothing.
    Control {
        /// The id of the reader.
        of: String,
    },
}

impl Step {
    /// Returns the id of the reader that this step is a control of.
    #[must_use]
    pub fn control_of(&self) -> Option<&str> {
        match &self.role {
            Role::Control { of } => Some(of),
            Role::Observe | Role::Prepare => None,
        }
    }

    /// Returns whether the step runs at `place`, or creates it as a container of a pod.
    #[must_use]
    pub fn makes(&self, place: Place) -> bool {
        let made = |pods: &[Pod]| {
            let mut members = pods.iter().flat_map(|pod| pod.containers);
            members.any(|member| Place::In(member.name) == place)
        };
        self.place == place || matches!(&self.action, Action::Deploy(it) if made(it.pods))
    }
}

/// A container, by its name in the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Container(pub &'static str);

impl Container {
    /// Returns the form of the name in step ids.
    fn id(self) -> String {
        self.0.to_lowercase()
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// The place of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The machine of the engine, outside all containers.
    Host,
    /// Inside a container; for an action of the engine, the container itself.
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

/// The action of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Builds the image with the tools.
    Build,
    /// Creates and starts the container or the sandbox of the pod. On a cluster, adds a container
    /// to an existing pod.
    Run(RunOptions),
    /// Creates and starts pods with all their containers.
    Deploy(Workload),
    /// Ends the process of an init container, after which the main containers start.
    Finish,
    /// Changes the image of a container in a pod, which replaces the container but not the pod.
    ChangeImage,
    /// Kills the sandbox of a pod, after which the pod gets a new one.
    KillSandbox,
    /// Restarts the kubelet on the node of a pod, while the pods of the node run.
    RestartKubelet,
    /// Makes the controller replace a pod: by a rollout of a Deployment, or by deletion of a pod
    /// of a `StatefulSet`.
    Replace,
    /// Starts the stopped container.
    Start,
    /// Stops the container with a signal and waits for its end.
    Stop,
    /// Kills the container's process.
    Kill,
    /// Stops and starts the container in one command.
    Restart,
    /// Freezes the processes of the container.
    Pause,
    /// Resumes the frozen processes.
    Unpause,
    /// Removes the container, even if it is running.
    Remove,
    /// Kills the process without an engine command; the restart policy restarts the container.
    Crash,
    /// Exceeds the memory limit of the container, which kills the allocating process.
    ExhaustMemory,
    /// Creates a large segment and leaves it.
    Leak,
    /// Lists the running containers of the engine.
    Processes,
    /// Writes a text with `shm_wr`.
    Write(Mechanism, String),
    /// Writes a text with `shm_wr`, which must create the object and report its namespace.
    Control(Mechanism, String),
    /// Reads the text with `shm_rd`.
    Read(Mechanism),
    /// Lists the segments with `shm_ls`, or with `ipcs -m` if the image has it.
    List,
}

impl Action {
    /// Returns the mechanism that it writes or reads.
    #[must_use]
    pub fn mechanism(&self) -> Option<Mechanism> {
        match self {
            Self::Write(mechanism, _) | Self::Control(mechanism, _) | Self::Read(mechanism) => {
                Some(*mechanism)
            }
            _ => None,
        }
    }

    /// Returns whether it lists, reads or writes System V segments.
    #[must_use]
    pub fn uses_segments(&self) -> bool {
        *self == Self::List || self.mechanism() == Some(Mechanism::Sysv)
    }

    /// Returns the text that it writes.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Write(_, text) | Self::Control(_, text) => Some(text),
            _ => None,
        }
    }

    /// Returns whether only a cluster supports it.
    #[must_use]
    pub fn is_of_clusters(&self) -> bool {
        matches!(
            self,
            Self::Deploy(_)
                | Self::Finish
                | Self::ChangeImage
                | Self::KillSandbox
                | Self::RestartKubelet
                | Self::Replace
                | Self::Leak
        )
    }
}

/// A mechanism for sharing data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// A System V shared memory segment, in the IPC namespace.
    Sysv,
    /// A set of System V semaphores, in the IPC namespace.
    Sem,
    /// A System V message queue, in the IPC namespace.
    Msg,
    /// A POSIX message queue, in the IPC namespace although it looks like a file.
    Mqueue,
    /// A POSIX shared memory object, a file on the mount at `/dev/shm`.
    Posix,
    /// A file on a volume that all containers mount, as the control that is always shared.
    File,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Mechanism {
    /// All mechanisms, those of the IPC namespace first.
    pub const ALL: [Self; 6] =
        [Self::Sysv, Self::Sem, Self::Msg, Self::Mqueue, Self::Posix, Self::File];

    /// Returns the system or library call that opens the object.
    #[must_use]
    pub fn call(self) -> &'static str {
        match self {
            Self::Sysv => "shmget",
            Self::Sem => "semget",
            Self::Msg => "msgget",
            Self::Mqueue => "mq_open",
            Self::Posix => "shm_open",
            Self::File => "open",
        }
    }
}

/// A statement that evidence proves or disproves.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// Its name in reports.
    pub id: &'static str,
    /// The statement.
    pub statement: &'static str,
    /// The evidence. The statement holds if each step shows what is expected.
    pub evidence: Vec<Evidence>,
    /// The places whose namespaces explain the result.
    pub places: Vec<Place>,
}

/// A step and what it must show for a conclusion to hold.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The id of the step.
    pub step: String,
    /// The expectation.
    pub shows: Expectation,
}

/// The expected content of the shared memory under the key of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// No object.
    Nothing,
    /// An object with any content.
    Something,
    /// An object with this text.
    Text(String),
}
