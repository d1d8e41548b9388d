//! Where scripts are carried out.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::invocation::{InvocationError, Transcript};
use crate::observation::Observation;
use crate::script::{Sharing, Step};

pub mod clean_up;
pub mod discover;
pub mod docker;
pub mod image;
pub mod model;
pub mod namespaces;
pub mod tool;
pub mod workshop;

/// Something that carries out steps.
pub trait Engine: Sync {
    /// What it is.
    fn info(&self) -> &EngineInfo;

    /// Whether this program is where the containers' host is: a container engine's host is in
    /// the initial IPC namespace, and this program may itself run in a container.
    fn is_on_this_host(&self) -> bool {
        true
    }

    /// Carries out a step. Steps of one stage are carried out at the same time.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the step could not be done at all, so that what follows is void. A
    /// command in a container that fails is an answer, not an error.
    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError>;

    /// Removes all that carrying out steps has made; says how many things that were.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where something may be left.
    fn clean_up(&self) -> Result<usize, EngineError>;
}

/// What came of a step.
#[derive(Debug)]
pub enum Answer {
    /// It was carried out.
    Observed(Observation),
    /// It has no meaning on this engine, and why.
    Skipped(String),
}

/// An engine in a report.
#[derive(Clone, Debug, Serialize)]
pub struct EngineInfo {
    /// The kind's name.
    pub name: EngineKind,
    /// Its version, in its own words.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// Why this engine was taken.
    pub chosen: String,
}

/// What an engine does about donors and joiners, where the kernel would leave it free to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    Anything,
    /// To join a container that is not shareable (moby `daemon/container_operations_unix.go`,
    /// `getIPCContainer`: it has no `ShmPath`).
    ShareableDonors,
    /// To join a container that was made private, and to remove one that others have joined. A donor
    /// that is stopped it starts with the joiner (podman `pkg/specgen/generate/namespaces.go`,
    /// `libpod/runtime_ctr.go`, `libpod/container_internal.go`: `startDependencies`).
    GuardedDonors,
}

impl Policy {
    /// Whether a container in this mode may be joined.
    #[must_use]
    pub fn may_join(self, donor: Sharing) -> bool {
        match self {
            Self::Anything => true,
            Self::ShareableDonors => {
                matches!(donor, Sharing::Shareable | Sharing::Container(_) | Sharing::Host)
            }
            Self::GuardedDonors => !matches!(donor, Sharing::Private | Sharing::HostShm),
        }
    }

    /// Whether a donor that does not run is started with its joiner.
    #[must_use]
    pub fn starts_donors(self) -> bool {
        self == Self::GuardedDonors
    }

    /// Whether a container may be removed that others have joined.
    #[must_use]
    pub fn may_remove_donor(self) -> bool {
        self != Self::GuardedDonors
    }
}

/// The engines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Docker, through its command line
    Docker,
    /// Podman, through its command line
    Podman,
    /// Plain Linux namespaces, through unshare and nsenter: no engine needed
    Namespaces,
    /// The model alone: what is predicted, with nothing run
    Model,
}

impl EngineKind {
    /// What engines of this kind refuse.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::Docker => Policy::ShareableDonors,
            Self::Podman => Policy::GuardedDonors,
            Self::Namespaces | Self::Model => Policy::Anything,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Namespaces => "namespaces",
            Self::Model => "model",
        })
    }
}

/// Why a step could not be carried out, or an engine not be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A command could not be run to its end.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// The engine refused.
    #[error("{what}\n  command: {}\n  exit status: {}\n  {}", .transcript.command_line(), .transcript.status(), .transcript.last_words())]
    Refused {
        /// What was being done, and what to do about it.
        what: String,
        /// The command and its answer.
        transcript: Transcript,
    },
    /// No engine of this kind can be used here.
    #[error("{kind} cannot be used: {why}\nnext step: {next_step}")]
    Unusable {
        /// The kind.
        kind: EngineKind,
        /// Why not.
        why: String,
        /// What to do.
        next_step: String,
    },
    /// The engine answered with something that it does not say.
    #[error("{command} answered with something unexpected: {answer}")]
    Unexpected {
        /// The command.
        command: String,
        /// What came back.
        answer: String,
    },
    /// The script and the engine do not fit.
    #[error("{0}")]
    Script(String),
    /// A file of the project could not be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The running kernel's release.
#[must_use]
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |release| release.trim().to_owned())
}
