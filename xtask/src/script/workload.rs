//! Pods as a cluster has them: made with all their containers at once, and made again by what
//! looks after them.

use super::{Container, Setting, Sharing};

/// One pod, or several of the same make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What looks after the pods.
    pub controller: Controller,
    /// Whose namespace they are in: [`Sharing::Sandbox`] for their own, [`Sharing::Host`] for the
    /// node's.
    pub ipc: Sharing,
    /// What their sandboxes are given.
    pub setting: Option<Setting>,
    /// The pods; all have as many containers as the first, made as that one's are.
    pub pods: &'static [Pod],
}

impl Workload {
    /// A pod in a namespace of its own, which nobody looks after.
    #[must_use]
    pub fn pod(pods: &'static [Pod]) -> Self {
        Self { controller: Controller::Nobody, ipc: Sharing::Sandbox, setting: None, pods }
    }
}

/// A pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its sandbox, by its name in the script.
    pub name: Container,
    /// Its containers.
    pub containers: &'static [Member],
}

/// A container of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the script.
    pub name: Container,
    /// Whether it has to end before the others start.
    pub init: bool,
    /// What it is given.
    pub setting: Option<Setting>,
}

impl Member {
    /// A container like any other.
    #[must_use]
    pub const fn main(name: Container) -> Self {
        Self { name, init: false, setting: None }
    }
}

/// What looks after pods, and what it does when one's process fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Nothing. The kubelet restarts its containers.
    Nobody,
    /// The kubelet restarts its containers, and a change of the template replaces the pods.
    Deployment,
    /// The same, and a pod that is gone comes back under its name.
    StatefulSet,
    /// The kubelet restarts its containers until they succeed: `restartPolicy: OnFailure`.
    JobOnFailure,
    /// A pod that fails is replaced by another: `restartPolicy: Never`.
    JobNever,
}

impl Controller {
    /// Whether its pods are to come to an end.
    #[must_use]
    pub fn is_job(self) -> bool {
        matches!(self, Self::JobOnFailure | Self::JobNever)
    }
}
