//! What the cluster says about a pod.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::engine::failure::FailureKind;
use crate::engine::kubernetes::failure::classify_reason;
use crate::process::name::{InvalidName, Name, Subdomain};
use crate::process::untrusted::Untrusted;

/// The part of a pod that matters here, and its whole specification as the cluster has it.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: Value,
    #[serde(default)]
    status: Status,
}

/// Which one it is, and the moment from which it is going.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Name<Subdomain>,
    pub(super) uid: Untrusted,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    finalizers: Vec<Untrusted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Untrusted,
    reason: Option<Untrusted>,
    message: Option<Untrusted>,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<ContainerStatus>,
    container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: Untrusted,
    status: Untrusted,
    reason: Option<Untrusted>,
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
    kind: FailureKind,
    reason: Untrusted,
    message: Option<Untrusted>,
}

impl PodFailure {
    /// Whether the kubelet does not want the pod as it was asked for.
    pub(super) fn is_refusal(&self) -> bool {
        self.kind == FailureKind::Rejected
    }

    /// Whether an image is not to be had.
    pub(super) fn is_about_an_image(&self) -> bool {
        self.kind == FailureKind::NoImage
    }

    /// Whether the node has no room for it.
    #[must_use]
    pub fn is_out_of_capacity(&self) -> bool {
        self.kind == FailureKind::OutOfCapacity
    }
}

impl fmt::Display for PodFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&said(&self.reason, self.message.as_ref()))
    }
}

impl Pod {
    /// Whether it is neither going nor through.
    pub(super) fn counts(&self) -> bool {
        !self.is_going() && self.status.phase != "Failed"
    }

    /// Whether it is to be deleted.
    pub(super) fn is_going(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// The finalizers that it waits for, if it is going.
    pub(super) fn held_by(&self) -> Option<&[Untrusted]> {
        let finalizers = &self.metadata.finalizers;
        (self.is_going() && !finalizers.is_empty()).then_some(finalizers)
    }

    /// Whether none of its containers runs.
    pub(super) fn is_at_rest(&self) -> bool {
        self.statuses().all(|it| it.state.running.is_none())
    }

    /// Whether a container of it runs.
    pub(super) fn runs(&self, container: &str) -> bool {
        self.container(container).is_some_and(|it| it.state.running.is_some())
    }

    /// How often a container of it was restarted.
    pub(super) fn restarts(&self, container: &str) -> u32 {
        self.container(container).map_or(0, |it| it.restart_count)
    }

    /// The id of a container's image, in the runtime's words.
    pub(super) fn image_id(&self, container: &str) -> Untrusted {
        self.container(container).map(|it| it.image_id.clone()).unwrap_or_default()
    }

    /// The node that it is on.
    pub(super) fn node(&self) -> Result<Option<Name<Subdomain>>, InvalidName> {
        self.spec["nodeName"].as_str().map(str::parse).transpose()
    }

    /// Why it will never run, as far as can be told.
    pub(super) fn failure(&self) -> Option<PodFailure> {
        for waiting in self.statuses().filter_map(|it| it.state.waiting.as_ref()) {
            if let Some(reason) = &waiting.reason
                && let Some(kind) = classify_reason(reason)
            {
                let (reason, message) = (reason.clone(), waiting.message.clone());
                return Some(PodFailure { kind, reason, message });
            }
        }
        let Status { phase, reason, message, .. } = &self.status;
        let reason = reason.clone().unwrap_or_else(|| "Failed".into());
        let kind = classify_reason(&reason).unwrap_or(FailureKind::Other);
        (*phase == "Failed").then(|| PodFailure { kind, reason, message: message.clone() })
    }

    /// Why no node takes it, as long as that is so.
    pub(super) fn unschedulable(&self) -> Option<String> {
        let scheduled = self.status.conditions.iter().find(|it| it.kind == "PodScheduled")?;
        let reason = scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into());
        (scheduled.status == "False").then(|| said(&reason, scheduled.message.as_ref()))
    }

    fn container(&self, name: &str) -> Option<&ContainerStatus> {
        self.statuses().find(|it| it.name == name.to_ascii_lowercase().as_str())
    }

    fn statuses(&self) -> impl Iterator<Item = &ContainerStatus> {
        let Status { init_container_statuses, container_statuses, .. } = &self.status;
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

    use super::Pod;

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
    fn a_pod_is_read_and_names_in_it_are_names() {
        let running = json!({ "running": { "startedAt": "now" } });
        let read = pod("shm-1-a", "node-1", &running).unwrap();
        assert!(read.counts() && read.runs("A") && read.restarts("a") == 1);
        assert_eq!(read.node().unwrap().as_deref(), Some("node-1"));
        assert!(pod("a", "node,reason=b", &running).unwrap().node().is_err());
        assert!(pod("--all", "node-1", &running).is_err());
    }

    #[test]
    fn why_a_pod_does_not_run_is_told_escaped() {
        let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "a\u{9b}2J" } });
        let why = pod("a", "b", &waiting).unwrap().failure().unwrap();
        assert_eq!(why.to_string(), "ErrImagePull: a\\xc2\\x9b2J");
        assert!(why.is_about_an_image());
    }
}
