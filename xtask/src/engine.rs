//! Where scripts are carried out.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use shm_core::Key;

use self::kubernetes::Hopeless;
use crate::invocation::{InvocationError, Transcript};
use crate::labels::RunId;
use crate::ledger::LedgerError;
use crate::name::{InvalidName, Name, Runtime};
use crate::observation::Observation;
use crate::script::{Action, Sharing, Step, Sysctl};
use crate::untrusted::Untrusted;

pub(crate) mod advice;
pub mod clean_up;
pub mod discover;
pub mod docker;
pub mod image;
pub mod kubernetes;
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

    /// Why the engine has no word for an action, whatever the machine; `None` where it has.
    fn lacks(&self, action: &Action) -> Option<&'static str> {
        let _ = action;
        None
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

/// Why an engine that is no cluster lacks what only clusters have.
const ONLY_CLUSTERS: &str = "only a cluster has pods that are made with all their containers";

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
    pub version: Untrusted,
    /// The kernel's release.
    pub kernel: Untrusted,
    /// The OCI runtime that was asked for; `None` leaves it to the engine.
    pub runtime: Option<Name<Runtime>>,
    /// Whose kernel the containers run on.
    pub kernels: Kernels,
    /// Why this engine was taken.
    pub chosen: Untrusted,
}

impl EngineInfo {
    /// What decides about shared memory there.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules { policy: self.name.policy(), kernels: self.kernels }
    }

    /// Its name, with the runtime where one was asked for.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.runtime {
            Some(runtime) => format!("{} with {runtime}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// What decides about shared memory besides the kernel's own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What the engine refuses, or does beyond what it is asked.
    pub policy: Policy,
    /// Whose kernel the containers run on.
    pub kernels: Kernels,
}

impl From<Policy> for Rules {
    /// With the host's kernel for all.
    fn from(policy: Policy) -> Self {
        Self { policy, kernels: Kernels::Shared }
    }
}

/// Whose kernel the containers run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// All on the host's.
    Shared,
    /// Each on one of its own, as with gVisor.
    Own,
}

/// What an engine does where the kernel would leave it free to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing that the kernel does not do.
    Bare,
    /// It refuses to join a container that is not shareable (moby
    /// `daemon/container_operations_unix.go`, `getIPCContainer`: it has no `ShmPath`).
    Docker,
    /// It refuses to join a container that was made private, to remove one that others have
    /// joined, and a size of `/dev/shm` where that is not the container's own; a donor that is
    /// stopped it starts with the joiner, and a joiner gets a `/dev/shm` of its own where its donor
    /// has none (podman `pkg/specgen/generate/namespaces.go`,
    /// `libpod/runtime_ctr.go`, `pkg/specgen/container_validate.go`,
    /// `libpod/container_internal.go`: `startDependencies`). It has pods, which containers outside
    /// cannot join.
    Podman,
    /// It refuses limits that it does not know to be safe, and nobody joins a pod from outside.
    Kubernetes,
}

impl Policy {
    /// Whether a container may be given a limit at all. A kubelet takes the others that are not
    /// known to be safe where it is told to, and this one is the least likely (Kubernetes
    /// `pkg/kubelet/sysctl/safe_sysctls.go`).
    #[must_use]
    pub fn may_set(self, sysctl: Sysctl) -> bool {
        self != Self::Kubernetes || sysctl != Sysctl::MqueueMsgMax
    }

    /// Whether a container in this mode may be joined from outside its pod.
    #[must_use]
    pub fn may_join(self, donor: Sharing) -> bool {
        match (self, donor) {
            // In a cluster all that shares is in one pod.
            (Self::Kubernetes, _) | (_, Sharing::Sandbox | Sharing::Pod(_)) => false,
            (Self::Bare, _) => true,
            (Self::Docker, _) => {
                matches!(donor, Sharing::Shareable | Sharing::Container(_) | Sharing::Host)
            }
            (Self::Podman, _) => !matches!(donor, Sharing::Private | Sharing::HostShm),
        }
    }

    /// Whether a donor that does not run is started with its joiner.
    #[must_use]
    pub fn starts_donors(self) -> bool {
        self == Self::Podman
    }

    /// Whether a joiner is given a `/dev/shm` where its donor has none.
    #[must_use]
    pub fn fills_in_shm(self) -> bool {
        self == Self::Podman
    }

    /// Whether a joiner gets the folder behind its donor's `/dev/shm`, and not the mount that the donor sees. The
    /// folder belongs to the first donor of a chain. It is empty while that one is stopped, and gone after its removal;
    /// then joining is refused (moby `daemon/container_operations_unix.go`, `getIPCContainer`: `ShmPath`).
    #[must_use]
    pub fn joins_shm_by_path(self) -> bool {
        self == Self::Docker
    }

    /// Whether a container may be removed that others have joined.
    #[must_use]
    pub fn may_remove_donor(self) -> bool {
        self != Self::Podman
    }

    /// Whether a container in this mode may change the limits of the host's IPC namespace. Engines
    /// refuse it to one that asks for the host's, but not to one that joins such a container (runc
    /// `libcontainer/configs/validate/validator.go`, `sysctl`: a namespace with a path is a new one).
    #[must_use]
    pub fn may_limit_host(self, sharing: Sharing) -> bool {
        self != Self::Bare && sharing.donor().is_some()
    }

    /// Whether `/dev/shm` may be given a size in this mode.
    #[must_use]
    pub fn may_size_shm(self, sharing: Sharing) -> bool {
        self != Self::Podman || !matches!(sharing, Sharing::Host | Sharing::None)
    }
}

/// The engines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Docker, through its command line
    Docker,
    /// Podman, through its command line
    Podman,
    /// A Kubernetes cluster, through kubectl
    Kubernetes,
    /// Plain Linux namespaces, through unshare and nsenter: no engine needed
    Namespaces,
    /// The model alone: what is predicted, with nothing run
    Model,
}

impl EngineKind {
    /// What engines of this kind do on their own account.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::Docker => Policy::Docker,
            Self::Podman => Policy::Podman,
            Self::Kubernetes => Policy::Kubernetes,
            Self::Namespaces | Self::Model => Policy::Bare,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Namespaces => "namespaces",
            Self::Model => "model",
        })
    }
}

/// Why a step could not be carried out, or an engine not be used. What it says is escaped: it quotes
/// engines, and names that others gave.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A command could not be run to its end.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// The engine refused.
    #[error("{}\n  command: {}\n  exit status: {}\n  {}", escaped(.what), .transcript.command_line(), .transcript.status(), .transcript.last_words())]
    Refused {
        /// What was being done, and what to do about it.
        what: String,
        /// The command and its answer.
        transcript: Transcript,
    },
    /// The ledger could not be written, so the thing was not made.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Cleaning up failed.
    #[error(
        "containers of run {run} may be left: {cause}\nnext step: once {program} answers, cargo xtask clean"
    )]
    Left {
        /// The run's id.
        run: RunId,
        /// What was to remove them.
        program: &'static str,
        /// Why it did not.
        cause: Box<EngineError>,
    },
    /// Somebody else uses the script's key on this host.
    #[error(
        "the run was disturbed: {what}. There is no verdict on the engine.\n\
         next step: run it again with a key that no other program uses, such as --key {free}"
    )]
    Disturbed {
        /// What was found, and whose it is.
        what: String,
        /// Another key, which is free.
        free: Key,
    },
    /// A pod will never run.
    #[error("pod {} does not run: {why}", escaped(.pod))]
    Hopeless {
        /// Its name.
        pod: String,
        /// Why not, in the cluster's words.
        why: Hopeless,
    },
    /// No engine of this kind can be used here.
    #[error("{kind} cannot be used: {why}\nnext step: {}", escaped(.next_step))]
    Unusable {
        /// The kind.
        kind: EngineKind,
        /// Why not.
        why: Untrusted,
        /// What to do.
        next_step: String,
    },
    /// The engine answered with something that it does not say.
    #[error("{command} answered with something unexpected: {answer}")]
    Unexpected {
        /// The command.
        command: Untrusted,
        /// What came back.
        answer: Untrusted,
    },
    /// The script and the engine do not fit.
    #[error("{}", escaped(.0))]
    Script(String),
    /// A name is not valid, so it cannot become an argument of a command.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A file of the project could not be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// Which.
        path: Untrusted,
        /// Why.
        source: std::io::Error,
    },
}

/// A message of ours that may quote others.
fn escaped(message: &str) -> String {
    shm_core::text::escape(message.as_bytes())
}

/// The running kernel's release.
#[must_use]
pub fn kernel_release() -> Untrusted {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |release| release.trim().into())
}
