//! The state of a pod, as the cluster reports it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::engine::failure::FailureKind;
use crate::engine::kubernetes::failure::classify_reason;
use crate::process::name::{CheckedName, InvalidName, Subdomain};
use crate::process::untrusted::Untrusted;

/// A pod: the parts that are used here, and the whole specification that the cluster stores.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: PodMetadata,
    pub(super) spec: Value,
    #[serde(default)]
    status: PodStatus,
}

/// The metadata of a pod.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodMetadata {
    pub(super) name: CheckedName<Subdomain>,
    pub(super) uid: Untrusted,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    finalizers: Vec<Untrusted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: Untrusted,
    reason: Option<Untrusted>,
    message: Option<Untrusted>,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// A condition of a pod or of a node.
#[derive(Debug, Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: Untrusted,
    pub(super) status: Untrusted,
    pub(super) reason: Option<Untrusted>,
    message: Option<Untrusted>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: Untrusted,
    restart_count: u32,
    #[serde(default, rename = "imageID")]
    image_id: Untrusted,
    state: ContainerState,
}

#[derive(Debug, Deserialize)]
struct ContainerState {
    running: Option<serde::de::IgnoredAny>,
    waiting: Option<Waiting>,
}

#[derive(Debug, Deserialize)]
struct Waiting {
    reason: Option<Untrusted>,
    message: Option<Untrusted>,
}

/// Why a pod will never run.
#[derive(Debug)]
pub struct PodFailure {
    pub(crate) kind: FailureKind,
    reason: Untrusted,
    message: Option<Untrusted>,
}

impl fmt::Display for PodFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&said(&self.reason, self.message.as_ref()))
    }
}

impl Pod {
    /// Returns whether the pod is neither terminating nor failed.
    pub(super) fn is_active(&self) -> bool {
        !self.is_terminating() && self.status.phase != "Failed"
    }

    /// Returns whether the deletion of the pod was requested.
    pub(super) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Returns the finalizers that delay a deletion, or `None` if no deletion waits for any.
    pub(super) fn held_by(&self) -> Option<&[Untrusted]> {
        let finalizers = &self.metadata.finalizers;
        (self.is_terminating() && !finalizers.is_empty()).then_some(finalizers)
    }

    /// Returns whether no container of the pod runs.
    pub(super) fn is_stopped(&self) -> bool {
        self.statuses().all(|it| it.state.running.is_none())
    }

    /// Returns whether a container of the pod runs.
    pub(super) fn runs(&self, container: &str) -> bool {
        self.container(container).is_some_and(|it| it.state.running.is_some())
    }

    /// Returns the number of restarts of a container.
    pub(super) fn restarts(&self, container: &str) -> u32 {
        self.container(container).map_or(0, |it| it.restart_count)
    }

    /// Returns the runtime's id of a container's image.
    pub(super) fn image_id(&self, container: &str) -> Untrusted {
        self.container(container).map(|it| it.image_id.clone()).unwrap_or_default()
    }

    /// Returns the pod's node.
    pub(super) fn node(&self) -> Result<Option<CheckedName<Subdomain>>, InvalidName> {
        self.spec["nodeName"].as_str().map(str::parse).transpose()
    }

    /// Returns why the pod will never run, or `None` if it may run.
    pub(super) fn failure(&self) -> Option<PodFailure> {
        for waiting in self.statuses().filter_map(|it| it.state.waiting.as_ref()) {
            if let Some(reason) = &waiting.reason
                && let Some(kind) = classify_reason(reason)
            {
                let (reason, message) = (reason.clone(), waiting.message.clone());
                return Some(PodFailure { kind, reason, message });
            }
        }
        let PodStatus { phase, reason, message, .. } = &self.status;
        let reason = reason.clone().unwrap_or_else(|| "Failed".into());
        let kind = classify_reason(&reason).unwrap_or(FailureKind::Other);
        (*phase == "Failed").then(|| PodFailure { kind, reason, message: message.clone() })
    }

    /// Returns why no node accepts the pod now, or `None` if one does.
    pub(super) fn unschedulable(&self) -> Option<String> {
        let scheduled = self.status.conditions.iter().find(|it| it.kind == "PodScheduled")?;
        let reason = scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into());
        (scheduled.status == "False").then(|| said(&reason, scheduled.message.as_ref()))
    }

    fn container(&self, name: &str) -> Option<&ContainerStatus> {
        self.statuses().find(|it| it.name == name.to_ascii_lowercase().as_str())
    }

    fn statuses(&self) -> impl Iterator<Item = &ContainerStatus> {
        let PodStatus { init_container_statuses, container_statuses, .. } = &self.status;
        let first = init_container_statuses.iter().chain(container_statuses);
        first.chain(&self.status.ephemeral_container_statuses)
    }
}

fn said(reason: &Untrusted, message: Option<&Untrusted>) -> String {
    match message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{FailureKind, Pod};

    fn pod(name: &str, node: &str, state: &serde_json::Value) -> serde_json::Result<Pod> {
        serde_json::from_value(json!({
            "metadata": { "name": name, "uid": "1-2" },
            "spec": { "nodeName": node },
            "status": { "phase": "Pending", "containerStatuses": [
                { "name": "a", "restartCount": 1, "imageID": "sha256:1f", "state": state }
            ] }
        }))
    }

    #[test]
    fn a_pod_is_parsed_and_invalid_names_are_errors() {
        let running = json!({ "running": { "startedAt": "now" } });
        let read = pod("shm-1-a", "node-1", &running).unwrap();
        assert!(read.is_active() && read.runs("A") && read.restarts("a") == 1);
        assert_eq!(read.node().unwrap().as_deref(), Some("node-1"));
        assert!(pod("a", "node,reason=b", &running).unwrap().node().is_err());
        assert!(pod("--all", "node-1", &running).is_err());
    }

    #[test]
    fn the_reason_of_a_pod_failure_is_escaped() {
        let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "a\u{9b}2J" } });
        let why = pod("a", "b", &waiting).unwrap().failure().unwrap();
        assert_eq!(why.to_string(), "ErrImagePull: a\\xc2\\x9b2J");
        assert_eq!(why.kind, FailureKind::NoImage);
    }
}
