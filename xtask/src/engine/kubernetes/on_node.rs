//! What happens on a node by a command that the user gave, for kubectl has no word for it.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Kubernetes;
use super::client::{Client, List, parse};
use super::pod::Pod;
use super::state::Deployed;
use super::wait::{LOOK_EVERY, PATIENCE};
use crate::engine::{Answer, EngineError};
use crate::invocation::{Invocation, Transcript};
use crate::script::Container;

/// A kubelet that would have other containers than it finds sees to that when it first looks at the
/// pods, within seconds; nothing tells that it has.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// The namespace that what happens to nodes is told in.
const OF_NODES: &str = "default";

#[derive(Deserialize)]
struct Event {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

impl Kubernetes {
    /// Has the pod's sandbox killed by the command that the user gave, and waits until the kubelet
    /// has made another.
    pub(super) fn kill_sandbox(&self, pod: Container) -> Result<Answer, EngineError> {
        let home = self.home(pod)?;
        let command = self.cluster.kill_sandbox.as_deref().unwrap_or_default();
        let counts = |pod: &Pod| -> Vec<_> {
            let members = home.workload.pods[0].containers.iter();
            members.map(|member| (pod.runs(member.name.0), pod.restarts(member.name.0))).collect()
        };
        let before: Vec<_> = home.among(&self.now(&home)?).map(counts).unwrap_or_default();
        let killed = self.call(command, &home, "kill its sandbox")?;
        let again = |pods: &[Pod]| {
            let Some(now) = home.among(pods).map(counts) else { return false };
            let restarted = |(now, before): (&(bool, u32), &(bool, u32))| now.0 && now.1 > before.1;
            now.iter().zip(&before).all(restarted)
        };
        let first = home.workload.pods[0].containers[0].name;
        self.come_back(first, &home, killed, again)
    }

    /// Has the kubelet of the pod's node restarted by the command that the user gave, and waits until
    /// it has started and lets the pod's containers be used.
    pub(super) fn restart_kubelet(&self, pod: Container) -> Result<Answer, EngineError> {
        let home = self.home(pod)?;
        let command = self.cluster.restart_kubelet.as_deref().unwrap_or_default();
        let before = match self.kubelet_starts() {
            Err(EngineError::Refused { what, transcript }) => {
                return Ok(Answer::Skipped(format!("{what}: {}", transcript.last_words())));
            }
            starts => starts?,
        };
        let restarted = self.call(command, &home, "restart its kubelet")?;
        let (asked, patience) = (Instant::now(), self.client.interrupt.limit_or(PATIENCE));
        let first = home.workload.pods[0].containers[0].name;
        let is_back = || -> Result<bool, EngineError> {
            Ok(!self.kubelet_starts()?.is_subset(&before)
                && self.exec(first, "shm_ls", &["--json"], None)?.succeeded())
        };
        while !is_back()? {
            if asked.elapsed() > patience {
                return Err(EngineError::Script(format!(
                    "the kubelet of {} has not started again in {} s\nnext step: see what it says on \
                     its node, and whether the command restarts it",
                    self.node(),
                    patience.as_secs()
                )));
            }
            thread::sleep(LOOK_EVERY);
        }
        thread::sleep(FIRST_LOOK);
        Ok(Answer::Observed(self.observe(first, restarted, asked.elapsed())?))
    }

    /// The starts of the kubelet that the cluster remembers, by the ids of its events.
    fn kubelet_starts(&self) -> Result<BTreeSet<String>, EngineError> {
        let of_nodes = Client { namespace: OF_NODES.to_owned(), ..self.client.clone() };
        let node = self.node();
        let selector = format!(
            "involvedObject.kind=Node,involvedObject.name={node},reason=Starting,source=kubelet"
        );
        let get = ["get", "events", "--output", "json", "--field-selector", &selector];
        let transcript = of_nodes.invoke(&get)?;
        if !transcript.succeeded() {
            let what = format!("whether the kubelet of {node} has started cannot be seen");
            return Err(EngineError::Refused { what, transcript });
        }
        let events: List<Event> = parse(&transcript)?;
        Ok(events.items.into_iter().map(|event| event.metadata.uid).collect())
    }

    /// The node that all pods are on.
    fn node(&self) -> String {
        self.know(|known| known.node.clone()).unwrap_or_default()
    }

    /// Runs a command that the user gave, about a pod; it must succeed.
    fn call(&self, command: &str, home: &Deployed, to: &str) -> Result<Transcript, EngineError> {
        let call = Invocation::new("sh", ["-c", command])
            .env("NAMESPACE", self.client.namespace.clone())
            .env("POD", home.name.clone())
            .env("NODE", self.node());
        let transcript = call.run(&self.tools.interrupt)?;
        if !transcript.succeeded() {
            let what = format!("{}: the command to {to} failed", home.name);
            return Err(EngineError::Refused { what, transcript });
        }
        Ok(transcript)
    }
}
