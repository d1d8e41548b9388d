//! What engines do to shared memory besides the kernel's own rules.

use serde::Serialize;

use super::EngineKind;
use crate::script::{Sharing, Sysctl};

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

impl EngineKind {
    /// Whether its containers, or what stands for them, are on the machine of this program.
    #[must_use]
    pub fn is_local(self) -> bool {
        !matches!(self, Self::Model | Self::Kubernetes)
    }

    /// Whether it has pods with containers in them, and no containers that are made alone.
    #[must_use]
    pub fn has_pods(self) -> bool {
        self == Self::Kubernetes
    }

    /// Whether it carries steps out, and does not only say what they show.
    #[must_use]
    pub fn is_real(self) -> bool {
        self != Self::Model
    }

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
