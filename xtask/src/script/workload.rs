//! Workloads of a cluster: pods, created with all their containers, and their controllers.

use super::{Container, Setting, Sharing};

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
