//! Events on a node that the user's commands cause, because kubectl cannot.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::kubernetes::Kubernetes;
use crate::engine::kubernetes::client::{Client, failed};
use crate::engine::kubernetes::events::restarted;
use crate::engine::kubernetes::pod::Pod;
use crate::engine::kubernetes::state::Deployed;
use crate::engine::kubernetes::wait::{LOOK_EVERY, PATIENCE};
use crate::engine::{EngineError, FailureKind, StepOutcome};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};
use crate::process::poll::poll_until;
use crate::process::untrusted::Untrusted;
use crate::script::Container;

/// Waiting time for the first check of a restarted kubelet, which may replace containers.
const FIRST_SYNC: Duration = Duration::from_secs(5);
/// The time limit for a user's command.
const COMMAND: Duration = Duration::from_mins(5);
/// The namespace of events about nodes.
const NODE_EVENTS: &str = "default";

impl Kubernetes {
    /// Runs the user's command to kill the pod's sandbox, and waits for a new sandbox.
    pub(super) fn kill_sandbox(&self, pod: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(pod)?;
        let command = self.cluster.kill_sandbox.as_deref().unwrap_or_default();
        let before = self.now(&home)?;
        let killed = self.call(command, &home, "kill its sandbox", &self.tools.interrupt)?;
        let members = home.workload.pods[0].containers;
        let again = |now: &[Pod]| {
            members.iter().all(|member| restarted(&home, member.name.0, &before)(now))
        };
        self.wait_until_ready(first(&home), &home, killed, again)
    }

    /// Runs the user's command to restart the kubelet of the pod's node. Waits until the kubelet
    /// has started and runs commands in the pod's containers.
    pub(super) fn restart_kubelet(&self, pod: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(pod)?;
        let command = self.cluster.restart_kubelet.as_deref().unwrap_or_default();
        let told = self.kubelet_starts()?;
        if !told.succeeded() {
            let failure = failed("cannot read the events of the node", told);
            return match &failure.kind {
                FailureKind::Unsupported(line) => {
                    Ok(StepOutcome::Skipped(format!("not supported here: {line}")))
                }
                _ => Err(failure.into()),
            };
        }
        let (before, starts) = (states(&home, &self.now(&home)?), ids(&told));
        // A signal or time limit must not end the command and leave the node without a kubelet.
        let uninterrupted = Interrupt::default();
        let restarted = self.call(command, &home, "restart its kubelet", &uninterrupted)?;

        let asked = Instant::now();
        let started = |told: &Output| told.succeeded() && !ids(told).is_subset(&starts);
        self.until("did not restart", started, || self.kubelet_starts())?;
        let first = first(&home);
        let what = format!("did not run a command in {first}");
        self.until(&what, Output::succeeded, || self.exec(first, "shm_ls", &["--json"], None))?;
        let took = asked.elapsed();
        thread::sleep(FIRST_SYNC);
        if states(&home, &self.now(&home)?) != before {
            let (node, pod) = (self.node(), &home.name);
            return Err(EngineError::Diverged {
                what: format!("the restart of the kubelet of {node} restarted containers of {pod}"),
                next_step: "give a --restart-kubelet command that changes nothing else".to_owned(),
            });
        }
        Ok(StepOutcome::Observed(self.observe(first, restarted, took)?))
    }

    /// Repeats `ask` until the answer is as wanted. Fails with "the kubelet ... `what`".
    fn until(
        &self,
        what: &str,
        is_as_wanted: impl Fn(&Output) -> bool,
        ask: impl Fn() -> Result<Output, EngineError>,
    ) -> Result<(), EngineError> {
        let interrupt = &self.client.interrupt;
        let patience = interrupt.limit_or(PATIENCE);
        let mut last = Output::default();
        let answer = poll_until(LOOK_EVERY, Instant::now() + patience, interrupt, || {
            last = ask()?;
            Ok::<_, EngineError>(is_as_wanted(&last).then_some(()))
        })?;
        answer.ok_or_else(|| {
            let (node, patience) = (self.node(), patience.as_secs());
            let what = format!("the kubelet of {node} {what} within {patience} s");
            let next_step = "check the kubelet's log, and that the command restarts the kubelet";
            failed(what, last).with_next_step(next_step).into()
        })
    }

    /// Reads the ids of the events for starts of the node's kubelet.
    fn kubelet_starts(&self) -> Result<Output, EngineError> {
        let client = Client { namespace: NODE_EVENTS.to_owned(), ..self.client.clone() };
        let node = self.node();
        let selector = format!(
            "involvedObject.kind=Node,involvedObject.name={node},reason=Starting,source=kubelet"
        );
        let ids = "jsonpath={.items[*].metadata.uid}";
        client.invoke(&["get", "events", "--output", ids, "--field-selector", &selector])
    }

    /// Returns the node of all pods.
    fn node(&self) -> String {
        self.with_record(|known| known.node.clone()).map(String::from).unwrap_or_default()
    }

    /// Runs a command of the user for a pod. Fails if the command fails.
    fn call(
        &self,
        command: &str,
        home: &Deployed,
        to: &str,
        interrupt: &Interrupt,
    ) -> Result<Output, EngineError> {
        let call = Invocation::new("sh", ["-c", command])
            .env("NAMESPACE", self.client.namespace.clone())
            .env("POD", home.name.to_string())
            .env("NODE", self.node())
            .timeout(COMMAND);
        let output = call.run(interrupt)?;
        if !output.succeeded() {
            let what = format!("pod {}: the command to {to} failed", home.name);
            return Err(failed(what, output).into());
        }
        Ok(output)
    }
}

/// Returns whether each container of a pod runs, and its restarts. Empty if the pod is gone.
fn states(home: &Deployed, pods: &[Pod]) -> Vec<(bool, u32)> {
    let members = home.workload.pods[0].containers.iter();
    let state = |pod: &Pod| {
        let state = |name| (pod.runs(name), pod.restarts(name));
        members.map(|member| state(member.name.0)).collect()
    };
    home.among(pods).map(state).unwrap_or_default()
}

/// Returns the first container of a pod.
fn first(home: &Deployed) -> Container {
    home.workload.pods[0].containers[0].name
}

fn ids(told: &Output) -> BTreeSet<Untrusted> {
    told.text().words().collect()
}
