//! How a container shares, and its settings.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
