//! The cells of the matrix: mechanism, mode, event and observer.

use std::fmt;

use serde::Serialize;

use super::{APART, DONOR, JOINER, MEMORY, OTHER, WRITER};
use crate::script::{Mechanism, Place, Setting, Sysctl};

/// A question: does this observer see the text after the event? Under a limit: can it write?
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The sharing mode of the writer.
    pub sharing: &'static str,
    /// The event between the write and the read.
    pub event: Event,
    /// The observer.
    pub observer: Observer,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, sharing, event, observer } = self;
        write!(f, "{mechanism}/{sharing}/{event}/{observer}")
    }
}

/// The reader of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Observer {
    /// The writer's container.
    Own,
    /// Another container in the same mode.
    Other,
    /// A container that joined the writer's, or that is in its pod.
    Joiner,
    /// A container in the writer's pod without the writer's volume.
    Apart,
    /// The container that the writer joined.
    Donor,
    /// The host.
    Host,
}

impl fmt::Display for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Observer {
    /// Returns the place where it reads.
    #[must_use]
    pub fn place(self) -> Place {
        match self {
            Self::Own => Place::In(WRITER),
            Self::Other => Place::In(OTHER),
            Self::Joiner => Place::In(JOINER),
            Self::Apart => Place::In(APART),
            Self::Donor => Place::In(DONOR),
            Self::Host => Place::Host,
        }
    }
}

/// An event between the write and the read, or a limit of the writer's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The writing process exits, and nothing else happens.
    WriterExits,
    /// The writer's container is paused and unpaused.
    Pause,
    /// The container is stopped and started.
    StopStart,
    /// The container is killed and started.
    KillStart,
    /// The container is restarted.
    Restart,
    /// The container, on a cluster its pod, is removed and created again.
    Recreate,
    /// A process in the container exceeds the memory limit and is killed.
    Oom,
    /// The process of the container dies, and the engine or its controller restarts or replaces it.
    Crash,
    /// The image of the container is changed in place.
    ImageChanged,
    /// The writer is an init container, and ends.
    InitExits,
    /// A debug container is added to the pod.
    Debug,
    /// A large segment is left in the container, after which a process exceeds the memory limit.
    Leak,
    /// The sandbox of the pod is killed, and the pod gets a new one.
    SandboxKilled,
    /// The kubelet of the node is restarted.
    KubeletRestarted,
    /// The pod is deleted.
    Deleted,
    /// The controller replaces the pod.
    Replaced,
    /// The donor is restarted while the container runs.
    DonorRestarts,
    /// The donor is stopped, then the container is stopped and started.
    DonorStopped,
    /// The pod is stopped and started.
    PodRestarts,
    /// The limit `kernel.shmmax` is smaller than the segment.
    Shmmax,
    /// The limit `kernel.shmall` is smaller than the segment.
    Shmall,
    /// The limit `kernel.shmmni` is 0.
    Shmmni,
    /// The sysctl `kernel.shm_rmid_forced` is 1.
    RmidForced,
    /// The container has a sysctl that the kubelet does not list as safe.
    UnsafeSysctl,
    /// The `/dev/shm` is smaller than the object.
    ShmSize,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Event {
    /// Returns the setting of the writer's container for the event.
    pub(super) fn setting(self) -> Option<Setting> {
        Some(match self {
            Self::Oom => Setting::Memory(MEMORY),
            Self::Crash => Setting::RestartPolicy,
            Self::Shmmax => Setting::Sysctl(Sysctl::Shmmax, 4096),
            Self::Shmall => Setting::Sysctl(Sysctl::Shmall, 1),
            Self::Shmmni => Setting::Sysctl(Sysctl::Shmmni, 0),
            Self::RmidForced => Setting::Sysctl(Sysctl::ShmRmidForced, 1),
            Self::UnsafeSysctl => Setting::Sysctl(Sysctl::MqueueMsgMax, 20),
            // The smallest size that an engine accepts: a page.
            Self::ShmSize => Setting::ShmSize(4096),
            _ => return None,
        })
    }
}
