//! What the cluster says about a pod.

use serde::Deserialize;

use super::manifest::CONTAINER;

/// The part of a pod that matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    #[serde(default)]
    status: Status,
}

/// Its name, and the moment from which it is going.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    deletion_timestamp: Option<String>,
}

/// Where it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) node_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    reason: Option<String>,
    message: Option<String>,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    ready: bool,
    restart_count: u32,
    state: ContainerState,
}

#[derive(Debug, Deserialize)]
struct ContainerState {
    running: Option<serde::de::IgnoredAny>,
    waiting: Option<Waiting>,
}

#[derive(Debug, Deserialize)]
struct Waiting {
    reason: Option<String>,
    message: Option<String>,
}

/// Reasons to wait from which no waiting helps.
const HOPELESS: [&str; 8] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
];

impl Pod {
    /// Whether its container runs, in its first start or in a later one than `restarts`.
    pub(super) fn runs_after(&self, restarts: Option<u32>) -> bool {
        self.container().is_some_and(|it| {
            it.ready
                && it.state.running.is_some()
                && restarts.is_none_or(|before| it.restart_count > before)
        })
    }

    /// Whether it runs, and is not going.
    pub(super) fn is_running(&self) -> bool {
        self.status.phase == "Running"
            && self.metadata.deletion_timestamp.is_none()
            && self.runs_after(None)
    }

    /// How often its container was restarted.
    pub(super) fn restarts(&self) -> u32 {
        self.container().map_or(0, |container| container.restart_count)
    }

    /// Why it will never run, as far as can be told.
    pub(super) fn hopeless(&self) -> Option<String> {
        if let Some(waiting) = self.container().and_then(|it| it.state.waiting.as_ref())
            && let Some(reason) = waiting.reason.as_deref().filter(|it| HOPELESS.contains(it))
        {
            return Some(said(reason, waiting.message.as_deref()));
        }
        if self.status.phase == "Failed" {
            let reason = self.status.reason.as_deref().unwrap_or("Failed");
            return Some(said(reason, self.status.message.as_deref()));
        }
        None
    }

    /// Why no node takes it, as long as that is so.
    pub(super) fn unschedulable(&self) -> Option<String> {
        let scheduled = self.status.conditions.iter().find(|it| it.kind == "PodScheduled")?;
        let reason = scheduled.reason.as_deref().unwrap_or("Unschedulable");
        (scheduled.status == "False").then(|| said(reason, scheduled.message.as_deref()))
    }

    fn container(&self) -> Option<&ContainerStatus> {
        self.status.container_statuses.iter().find(|it| it.name == CONTAINER)
    }
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.to_owned(),
    }
}
