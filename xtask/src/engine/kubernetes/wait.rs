//! Waiting until the pods of a workload have the wanted state.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::manifest::{self, workload_selector};
use super::pod::{Pod, PodFailure};
use crate::engine::EngineError;
use crate::engine::kubernetes::{Kubernetes, spec_diff};
use crate::process::poll::poll_until;
use crate::process::untrusted::Untrusted;
use crate::script::Workload;

/// The time limit for pods to start, restart or be replaced, and for a kubelet to start.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// The polling interval.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a pod may be unschedulable: terminating pods may free capacity.
const UNSCHEDULABLE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodEvent {
    #[serde(rename = "type")]
    kind: Untrusted,
    #[serde(default)]
    message: Untrusted,
    involved_object: Involved,
}

#[derive(Deserialize)]
struct Involved {
    #[serde(default)]
    name: Untrusted,
}

/// The result of waiting.
pub(super) enum Waited {
    /// The pods, sorted by name, and the time that it took.
    Pods(Vec<Pod>, Duration),
    /// A pod will never run.
    Never(PodFailure),
}

impl Kubernetes {
    /// Waits until the pods of `object` have the wanted state.
    pub(super) fn wait(
        &self,
        workload: &Workload,
        object: &str,
        are_as_wanted: impl Fn(&[Pod]) -> bool,
    ) -> Result<Waited, EngineError> {
        let interrupt = &self.client.interrupt;
        let (started, patience) = (Instant::now(), interrupt.limit_or(PATIENCE));
        let selector = workload_selector(object);
        let waited = poll_until(LOOK_EVERY, started + patience, interrupt, || {
            let all: Vec<Pod> = self.client.list("pods", &selector)?;
            // First, because a change may prevent the pods' start.
            self.ensure_unchanged(workload, &all)?;
            let never = all.iter().find_map(Pod::failure);
            let mut pods: Vec<_> = all.into_iter().filter(Pod::is_active).collect();
            pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
            if pods.len() == workload.pods.len() && are_as_wanted(&pods) {
                return Ok(Some(Waited::Pods(pods, started.elapsed())));
            }
            let unschedulable = pods.iter().find_map(Pod::unschedulable);
            // A job replaces its failed pods.
            if let Some(never) = never.filter(|_| !workload.controller.is_job()) {
                return Ok(Some(Waited::Never(never)));
            }
            match unschedulable.filter(|_| started.elapsed() > UNSCHEDULABLE) {
                Some(why) => Err(self.stuck(workload, object, &why)),
                None => Ok(None),
            }
        })?;
        match waited {
            Some(waited) => Ok(waited),
            None => Err(self.stuck(workload, object, &self.last_warning(object, patience)?)),
        }
    }

    /// Returns the message of the last warning event for `object` or its pods.
    fn last_warning(&self, object: &str, patience: Duration) -> Result<String, EngineError> {
        let events: Vec<PodEvent> = self.client.list("events", "")?;
        let of_it = |event: &&PodEvent| {
            event.kind == "Warning" && event.involved_object.name.starts_with(object)
        };
        let last = events.iter().rfind(of_it).map(|event| event.message.to_string());
        Ok(last.unwrap_or_else(|| format!("no reason given within {} s", patience.as_secs())))
    }

    fn stuck(&self, workload: &Workload, object: &str, why: &str) -> EngineError {
        let kind = manifest::kind(workload.controller);
        let namespace = &self.client.namespace;
        EngineError::Diverged {
            what: format!("{kind} {object} did not become ready: {why}"),
            next_step: format!(
                "run it with --keep, then kubectl --namespace {namespace} describe {kind} {object}"
            ),
        }
    }

    /// Fails if the cluster changed a pod, because the prediction does not apply then.
    fn ensure_unchanged(&self, workload: &Workload, pods: &[Pod]) -> Result<(), EngineError> {
        let image = self.cluster.image();
        let asked = manifest::pod(workload, image, None);
        let other_image = self.with_record(|known| known.other_image.clone());
        let changed = |pod: &Pod| {
            let mut spec = pod.spec.clone();
            if let Some(other) = &other_image {
                spec_diff::rename_image(&mut spec, other, image);
            }
            Some((pod.metadata.name.clone(), spec_diff::first(&asked, &spec)?))
        };
        let Some((name, change)) = pods.iter().find_map(changed) else { return Ok(()) };
        Err(EngineError::Diverged {
            what: format!("the cluster changed pod {name}: {change}"),
            next_step: "find the webhook (kubectl get mutatingwebhookconfigurations), or use a \
                        namespace that it does not change, --namespace NAME"
                .to_owned(),
        })
    }
}
