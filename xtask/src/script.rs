//! What is done: scripts, as plain data.

use std::fmt;

use serde::{Serialize, Serializer};
use shm_core::Key;

pub mod article;
pub mod matrix;
mod workload;

pub use workload::{Controller, Member, Pod, Workload};

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

    /// The texts that it writes.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.steps().filter_map(|step| step.action.text())
    }

    /// The script without the steps that write or read mechanisms which `lacks` names.
    #[must_use]
    pub fn without(mut self, lacks: impl Fn(Mechanism) -> bool) -> Self {
        for stage in &mut self.stages {
            stage.0.retain(|step| !step.action.mechanism().is_some_and(&lacks));
        }
        self
    }
}

/// The names of what a script shares, one a mechanism, all made from the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The key of the System V segment, of the semaphores and of the message queues.
    pub key: Key,
    /// How many bytes of memory the writers ask for.
    pub size: u64,
    /// The key of what controls write on the host: there others see it, who may have the same key.
    pub host_control: Key,
}

impl From<Key> for Objects {
    fn from(key: Key) -> Self {
        Self { key, size: Self::DEFAULT_SIZE, host_control: key }
    }
}

impl Objects {
    /// What `shm_wr` asks for by itself.
    pub const DEFAULT_SIZE: u64 = 1024;

    /// The names that a step uses.
    #[must_use]
    pub fn of(self, step: &Step) -> Self {
        let is_control = step.place == Place::Host && step.control_of().is_some();
        Self { key: if is_control { self.host_control } else { self.key }, ..self }
    }

    /// The name of the POSIX object, and of the file on the volume.
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
    /// What it is for.
    pub role: Role,
}

/// What a step is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It shows something that conclusions or cells may ask for.
    Observe,
    /// It prepares what is asked later: it makes a container, lets an event happen, or reads back what was
    /// written before the event.
    Prepare,
    /// It is carried out if the reader with the id `of` is predicted to find nothing, and shows that this reader
    /// can find something.
    Control {
        /// The reader's id.
        of: String,
    },
}

impl Step {
    /// Returns the id of the reader that this is a control of.
    #[must_use]
    pub fn control_of(&self) -> Option<&str> {
        match &self.role {
            Role::Control { of } => Some(of),
            Role::Observe | Role::Prepare => None,
        }
    }

    /// Whether it is done at a place, or makes it with the others of its pod.
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
    /// Its part in the id of a step.
    fn id(self) -> String {
        self.0.to_lowercase()
    }
}

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
    /// Makes the container, or the pod's sandbox, and starts it. On a cluster it is added to a pod
    /// that is there.
    Run(RunOptions),
    /// Makes pods with all their containers, and starts them.
    Deploy(Workload),
    /// Lets the process of an init container end, so that the pod goes on to its main ones.
    Finish,
    /// Gives a container of a pod another image in place: the container is replaced, the pod is not.
    ChangeImage,
    /// Kills the sandbox of a pod, which then gets another.
    KillSandbox,
    /// Restarts the kubelet of the node that a pod is on, under all that runs there.
    RestartKubelet,
    /// Has the controller of a pod put a new one in its place: a Deployment rolls out, of a
    /// `StatefulSet` a pod is deleted.
    Replace,
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
    /// Its process dies, by nobody's order; the restart policy brings it back.
    Crash,
    /// A process in the container takes more memory than the container may have, and is killed.
    ExhaustMemory,
    /// Leaves a large segment behind.
    Leak,
    /// Asks the engine which containers run.
    Processes,
    /// Writes a text with `shm_wr`.
    Write(Mechanism, String),
    /// Writes a text with `shm_wr` where there is nothing. It fails where there is something after all,
    /// and the writer names its namespace.
    Control(Mechanism, String),
    /// Reads the text with `shm_rd`.
    Read(Mechanism),
    /// Lists the segments with `shm_ls`, or with `ipcs -m` where the image has it.
    List,
}

impl Action {
    /// What it writes or reads, if it does.
    #[must_use]
    pub fn mechanism(&self) -> Option<Mechanism> {
        match self {
            Self::Write(mechanism, _) | Self::Control(mechanism, _) | Self::Read(mechanism) => {
                Some(*mechanism)
            }
            _ => None,
        }
    }

    /// Whether it shows or makes System V segments.
    #[must_use]
    pub fn uses_segments(&self) -> bool {
        *self == Self::List || self.mechanism() == Some(Mechanism::Sysv)
    }

    /// The text that it writes, if it writes one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Write(_, text) | Self::Control(_, text) => Some(text),
            _ => None,
        }
    }

    /// Whether only a cluster has a word for it.
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

/// What is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// A System V segment: it lives in the IPC namespace.
    Sysv,
    /// A set of System V semaphores: it lives there too.
    Sem,
    /// A System V message queue: it does too.
    Msg,
    /// A POSIX message queue: it does too, though it looks like a file.
    Mqueue,
    /// A POSIX object: a file on whatever is mounted at `/dev/shm`.
    Posix,
    /// A file on a volume that all containers mount: the control, which is always shared.
    File,
}

impl Mechanism {
    /// All of them, those of the IPC namespace first.
    pub const ALL: [Self; 6] =
        [Self::Sysv, Self::Sem, Self::Msg, Self::Mqueue, Self::Posix, Self::File];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sysv => "sysv",
            Self::Sem => "sem",
            Self::Msg => "msg",
            Self::Mqueue => "mqueue",
            Self::Posix => "posix",
            Self::File => "file",
        }
    }

    /// The call that finds what is shared.
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

/// How a container is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// How it shares memory.
    pub sharing: Sharing,
    /// What else it is given.
    pub setting: Option<Setting>,
}

impl From<Sharing> for RunOptions {
    fn from(sharing: Sharing) -> Self {
        Self { sharing, setting: None }
    }
}

/// What a container may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A limit of its IPC namespace.
    Sysctl(Sysctl, u64),
    /// The size of its `/dev/shm`, in bytes.
    ShmSize(u64),
    /// The most memory that it may have, in bytes.
    Memory(u64),
    /// That it is started again whenever it ends by itself.
    RestartPolicy,
    /// A volume of memory of its pod, at `/dev/shm`.
    ShmVolume,
}

/// The limits of an IPC namespace, `proc(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sysctl {
    /// The most bytes of a segment.
    Shmmax,
    /// The most pages of all segments.
    Shmall,
    /// The most segments.
    Shmmni,
    /// Whether a segment goes with its last attachment.
    ShmRmidForced,
    /// The most messages of a POSIX queue.
    MqueueMsgMax,
}

impl Sysctl {
    /// Its name, as in `--sysctl`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shmmax => "kernel.shmmax",
            Self::Shmall => "kernel.shmall",
            Self::Shmmni => "kernel.shmmni",
            Self::ShmRmidForced => "kernel.shm_rmid_forced",
            Self::MqueueMsgMax => "fs.mqueue.msg_max",
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
    /// A pod's sandbox: a namespace and a `/dev/shm` for the containers of the pod.
    Sandbox,
    /// Those of the pod that it is in, by the name of the sandbox.
    Pod(Container),
}

impl Sharing {
    /// Whose namespace it takes, if it is that of another container.
    #[must_use]
    pub fn donor(self) -> Option<Container> {
        match self {
            Self::Container(donor) | Self::Pod(donor) => Some(donor),
            _ => None,
        }
    }

    /// Whether a tmpfs is mounted at `/dev/shm` for it alone, or for it first.
    #[must_use]
    pub fn brings_shm(self) -> bool {
        matches!(self, Self::Default | Self::Private | Self::Shareable | Self::Sandbox)
    }
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
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The step's id.
    pub step: String,
    /// What it must show.
    pub shows: Expectation,
}

/// What can be seen of the shared memory under the script's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// There is none.
    Nothing,
    /// There is some, whatever it holds.
    Something,
    /// It holds this text.
    Text(String),
}
