//! The questions of the matrix: who still sees what, after what.

use std::fmt;

use serde::Serialize;

use super::{APART, DONOR, JOINER, MEMORY, OTHER, WRITER};
use crate::script::{Mechanism, Place, Setting, Sysctl};

/// A question: does this observer still see what was written? After a limit: can it write?
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// What is shared.
    pub mechanism: Mechanism,
    /// The mode of the writer.
    pub sharing: &'static str,
    /// What happens between the writing and the reading.
    pub event: Event,
    /// Who reads.
    pub observer: Observer,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, sharing, event, observer } = self;
        write!(f, "{}/{sharing}/{}/{}", mechanism.word(), event.word(), observer.word())
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Observer {
    /// The writer's own container.
    Own,
    /// Another container in the same mode.
    Other,
    /// A container that joined the writer's, or that is in its pod.
    Joiner,
    /// One in the writer's pod that does not mount what the writer does.
    Apart,
    /// The container that the writer joined.
    Donor,
    /// The host.
    Host,
}

impl Observer {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Other => "other",
            Self::Joiner => "joiner",
            Self::Apart => "apart",
            Self::Donor => "donor",
            Self::Host => "host",
        }
    }

    /// Where it reads.
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

/// What happens between the writing and the reading, or which limit the writer's container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Nothing more than that the writing process is gone.
    WriterExits,
    /// The writer's container is paused and unpaused.
    Pause,
    /// It is stopped and started.
    StopStart,
    /// It is killed and started.
    KillStart,
    /// It is restarted.
    Restart,
    /// It is removed and made anew.
    Recreate,
    /// A process in it is killed because it takes more memory than the container may have.
    Oom,
    /// Its own process dies, and the engine's restart policy brings it back.
    Crash,
    /// Its container is given another image in place.
    ImageChanged,
    /// An init container wrote, and has ended.
    InitExits,
    /// A debug container was added to its pod afterwards.
    Debug,
    /// Segments were left behind in it until its memory was full.
    Leak,
    /// The sandbox of its pod is killed, and the pod gets another.
    SandboxKilled,
    /// The kubelet of its node is restarted.
    KubeletRestarted,
    /// Its pod is deleted.
    Deleted,
    /// Its pod's controller puts another in its place.
    Replaced,
    /// Its donor is restarted while it runs.
    DonorRestarts,
    /// Its donor is stopped, then it is restarted.
    DonorStopped,
    /// Its pod is stopped and started.
    PodRestarts,
    /// It was given a `kernel.shmmax` that is less than what is written.
    Shmmax,
    /// It was given a `kernel.shmall` that is less.
    Shmall,
    /// It was given a `kernel.shmmni` of 0.
    Shmmni,
    /// It was given `kernel.shm_rmid_forced`.
    RmidForced,
    /// It was given a limit that the kubelet does not know to be safe.
    UnsafeSysctl,
    /// It was given a `/dev/shm` that is smaller than what is written.
    ShmSize,
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::WriterExits => "writer-exits",
            Self::Pause => "pause",
            Self::StopStart => "stop-start",
            Self::KillStart => "kill-start",
            Self::Restart => "restart",
            Self::Recreate => "recreate",
            Self::Oom => "oom",
            Self::Crash => "crash",
            Self::ImageChanged => "image-changed",
            Self::InitExits => "init-exits",
            Self::Debug => "debug",
            Self::Leak => "leak",
            Self::SandboxKilled => "sandbox-killed",
            Self::KubeletRestarted => "kubelet-restarted",
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::UnsafeSysctl => "unsafe-sysctl",
            Self::DonorRestarts => "donor-restarts",
            Self::DonorStopped => "donor-stopped",
            Self::PodRestarts => "pod-restarts",
            Self::Shmmax => "shmmax",
            Self::Shmall => "shmall",
            Self::Shmmni => "shmmni",
            Self::RmidForced => "rmid-forced",
            Self::ShmSize => "shm-size",
        }
    }

    /// What the writer's container is given for it.
    pub(super) fn setting(self) -> Option<Setting> {
        Some(match self {
            Self::Oom => Setting::Memory(MEMORY),
            Self::Crash => Setting::RestartPolicy,
            Self::Shmmax => Setting::Sysctl(Sysctl::Shmmax, 4096),
            Self::Shmall => Setting::Sysctl(Sysctl::Shmall, 1),
            Self::Shmmni => Setting::Sysctl(Sysctl::Shmmni, 0),
            Self::RmidForced => Setting::Sysctl(Sysctl::ShmRmidForced, 1),
            Self::UnsafeSysctl => Setting::Sysctl(Sysctl::MqueueMsgMax, 20),
            // The least that an engine takes: a page.
            Self::ShmSize => Setting::ShmSize(4096),
            _ => return None,
        })
    }
}
