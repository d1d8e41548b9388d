//! The engines' policies for shared memory, in addition to the kernel's rules.

use serde::Serialize;

use super::EngineKind;
use crate::script::{Sharing, Sysctl};

/// The rules for shared memory, in addition to the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The engine's policy.
    pub policy: Policy,
    /// Whether the containers share the host's kernel.
    pub kernels: Kernels,
    /// Whether the containers have a user namespace of their own. The runtime then refuses the
    /// host's IPC namespace: it may not mount a message queue file system that another user
    /// namespace owns (kernel `ipc/mqueue.c`, `mqueue_init_fs_context`).
    pub remaps_users: bool,
}

impl From<Policy> for Rules {
    /// Returns the rules with the host's kernel.
    fn from(policy: Policy) -> Self {
        Self { policy, kernels: Kernels::Shared, remaps_users: false }
    }
}

/// Whether the containers share the host's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// All containers share the host's kernel.
    Shared,
    /// Each container has its own kernel, as with gVisor.
    Own,
}

/// What an engine allows and does, where the kernel would allow more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The kernel's rules alone.
    Bare,
    /// Refuses to join a container that is not shareable (moby
    /// `daemon/container_operations_unix.go`, `getIPCContainer`: it has no `ShmPath`).
    Docker,
    /// Refuses to join a private container, to remove a container that others have joined, and to
    /// set the size of a `/dev/shm` that is not the container's own. Starts a stopped donor with
    /// its joiner. Mounts a new `/dev/shm` for a joiner whose donor has none (podman
    /// `pkg/specgen/generate/namespaces.go`, `libpod/runtime_ctr.go`,
    /// `pkg/specgen/container_validate.go`, `libpod/container_internal.go`: `startDependencies`).
    /// Has pods, which containers outside cannot join.
    Podman,
    /// Refuses sysctls that are not known to be safe. No container joins a pod from outside.
    Kubernetes,
}

impl Policy {
    /// Returns whether a container may set a sysctl. Kubelets can be configured to allow unsafe
    /// sysctls; `fs.mqueue.msg_max` is the one least likely to be allowed (Kubernetes
    /// `pkg/kubelet/sysctl/safe_sysctls.go`).
    #[must_use]
    pub fn may_set(self, sysctl: Sysctl) -> bool {
        self != Self::Kubernetes || sysctl != Sysctl::MqueueMsgMax
    }

    /// Returns whether a container in this mode may be joined from outside its pod.
    #[must_use]
    pub fn may_join(self, donor: Sharing) -> bool {
        match (self, donor) {
            // In a cluster, only containers of one pod share an IPC namespace.
            (Self::Kubernetes, _) | (_, Sharing::Sandbox | Sharing::Pod(_)) => false,
            (Self::Bare, _) => true,
            (Self::Docker, _) => {
                matches!(donor, Sharing::Shareable | Sharing::Container(_) | Sharing::Host)
            }
            (Self::Podman, _) => !matches!(donor, Sharing::Private | Sharing::HostShm),
        }
    }

    /// Returns whether a stopped donor is started with its joiner.
    #[must_use]
    pub fn starts_donors(self) -> bool {
        self == Self::Podman
    }

    /// Returns whether a joiner gets a `/dev/shm` if its donor has none.
    #[must_use]
    pub fn fills_in_shm(self) -> bool {
        self == Self::Podman
    }

    /// Returns whether a joiner gets the folder behind its donor's `/dev/shm`, not the donor's
    /// mount. The folder belongs to the first donor of a chain. It is empty while that donor is
    /// stopped. After that donor's removal it is missing, and joining is refused (moby
    /// `daemon/container_operations_unix.go`, `getIPCContainer`: `ShmPath`).
    #[must_use]
    pub fn joins_shm_by_path(self) -> bool {
        self == Self::Docker
    }

    /// Returns whether a container that others have joined may be removed.
    #[must_use]
    pub fn may_remove_donor(self) -> bool {
        self != Self::Podman
    }

    /// Returns whether a container in this mode may change the limits of the host's IPC namespace.
    /// Engines refuse it in mode `host`, but not for a joiner of a container in that mode (runc
    /// `libcontainer/configs/validate/validator.go`, `sysctl`: a namespace with a path is new).
    #[must_use]
    pub fn may_limit_host(self, sharing: Sharing) -> bool {
        self != Self::Bare && sharing.donor().is_some()
    }

    /// Returns whether a container in this mode may set the size of `/dev/shm`.
    #[must_use]
    pub fn may_size_shm(self, sharing: Sharing) -> bool {
        self != Self::Podman || !matches!(sharing, Sharing::Host | Sharing::None)
    }
}

impl EngineKind {
    /// Returns whether its containers run on the machine of this program.
    #[must_use]
    pub fn is_local(self) -> bool {
        !matches!(self, Self::Model | Self::Kubernetes)
    }

    /// Returns whether it creates containers only in pods.
    #[must_use]
    pub fn has_pods(self) -> bool {
        self == Self::Kubernetes
    }

    /// Returns whether it executes steps and does not only predict them.
    #[must_use]
    pub fn is_real(self) -> bool {
        self != Self::Model
    }

    /// Returns the policy of engines of this kind.
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
