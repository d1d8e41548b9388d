//! How a container shares, its settings, and the workloads of a cluster: pods, created with all
//! their containers, and their controllers.

use crate::script::Container;

/// The options of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// The sharing mode.
    pub sharing: Sharing,
    /// One more setting.
    pub setting: Option<Setting>,
}

impl From<Sharing> for RunOptions {
    fn from(sharing: Sharing) -> Self {
        Self { sharing, setting: None }
    }
}

/// A setting of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A limit of its IPC namespace.
    Sysctl(Sysctl, u64),
    /// The size of its `/dev/shm`, in bytes.
    ShmSize(u64),
    /// The memory limit, in bytes.
    Memory(u64),
    /// A restart policy that restarts the container when its process ends.
    RestartPolicy,
    /// A memory volume of the pod, mounted at `/dev/shm`.
    ShmVolume,
}

/// A limit of an IPC namespace, `proc(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sysctl {
    /// The maximum size of a segment, in bytes.
    Shmmax,
    /// The maximum size of all segments together, in pages.
    Shmall,
    /// The maximum number of segments.
    Shmmni,
    /// Whether the last detach destroys a segment.
    ShmRmidForced,
    /// The maximum number of messages in a POSIX queue.
    MqueueMsgMax,
}

impl Sysctl {
    /// Returns its name for `--sysctl`.
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

/// The sharing mode of a container, named as in `--ipc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// The default of the engine.
    Default,
    /// A new namespace and a new `/dev/shm`, which other containers cannot join.
    Private,
    /// A new namespace and a new `/dev/shm`, which other containers can join.
    Shareable,
    /// The namespace and the `/dev/shm` of another container, the donor.
    Container(Container),
    /// The namespace and the `/dev/shm` of the host.
    Host,
    /// A new namespace without a `/dev/shm`.
    None,
    /// A new namespace and a bind mount of the host's `/dev/shm`.
    HostShm,
    /// A new namespace and a new `/dev/shm` for the sandbox of a pod and the pod's containers.
    Sandbox,
    /// The namespace and the `/dev/shm` of the container's pod, by the name of the sandbox.
    Pod(Container),
}

impl Sharing {
    /// Returns the container that the namespace is taken from.
    #[must_use]
    pub fn donor(self) -> Option<Container> {
        match self {
            Self::Container(donor) | Self::Pod(donor) => Some(donor),
            _ => None,
        }
    }

    /// Returns whether the engine mounts a new tmpfs at `/dev/shm` for the container.
    #[must_use]
    pub fn brings_shm(self) -> bool {
        matches!(self, Self::Default | Self::Private | Self::Shareable | Self::Sandbox)
    }
}

/// One pod, or several pods of the same template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The controller of the pods.
    pub controller: Controller,
    /// The IPC namespace: [`Sharing::Sandbox`] for the pod's, [`Sharing::Host`] for the node's.
    pub ipc: Sharing,
    /// The setting of the sandboxes.
    pub setting: Option<Setting>,
    /// The pods. All have containers like those of the first pod.
    pub pods: &'static [Pod],
}

impl Workload {
    /// Returns a workload of pods without a controller, each in its own namespace.
    #[must_use]
    pub const fn pod(pods: &'static [Pod]) -> Self {
        Self { controller: Controller::Nobody, ipc: Sharing::Sandbox, setting: None, pods }
    }
}

/// A pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The name of the sandbox in the script.
    pub name: Container,
    /// The containers.
    pub containers: &'static [Member],
}

/// A container of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name in the script.
    pub name: Container,
    /// Whether it is an init container, which must end before the main containers start.
    pub init: bool,
    /// The setting.
    pub setting: Option<Setting>,
}

impl Member {
    /// Returns a main container without a setting.
    #[must_use]
    pub const fn main(name: Container) -> Self {
        Self { name, init: false, setting: None }
    }
}

/// The controller of pods, and its reaction to a failed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// No controller. The kubelet restarts the containers.
    Nobody,
    /// The kubelet restarts the containers. A change of the template replaces the pods.
    Deployment,
    /// As [`Controller::Deployment`]. A deleted pod is created again with the same name.
    StatefulSet,
    /// The kubelet restarts the containers until they succeed: `restartPolicy: OnFailure`.
    JobOnFailure,
    /// A new pod replaces a failed one: `restartPolicy: Never`.
    JobNever,
}

impl Controller {
    /// Returns whether it is a Job, whose pods run to completion.
    #[must_use]
    pub fn is_job(self) -> bool {
        matches!(self, Self::JobOnFailure | Self::JobNever)
    }
}
