//! What happens on a node by a command that the user gave, for kubectl has no word for it.

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

/// A kubelet that would have other containers than it finds sees to that when it first looks at the
/// pods, within seconds; that it has looked is told to nobody.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long a command may take.
const COMMAND: Duration = Duration::from_mins(5);
/// The namespace that what happens to nodes is told in.
const OF_NODES: &str = "default";

impl Kubernetes {
    /// Has the pod's sandbox killed by the command that the user gave, and waits until the kubelet
    /// has made another.
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

    /// Has the kubelet of the pod's node restarted by the command that the user gave, and waits until
    /// it has started and lets the pod's containers be used.
    pub(super) fn restart_kubelet(&self, pod: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(pod)?;
        let command = self.cluster.restart_kubelet.as_deref().unwrap_or_default();
        let told = self.kubelet_starts()?;
        if !told.succeeded() {
            let failure = failed("the cluster does not answer", told);
            return match &failure.kind {
                FailureKind::Unsupported(line) => {
                    Ok(StepOutcome::Skipped(format!("it cannot be done here: {line}")))
                }
                _ => Err(failure.into()),
            };
        }
        let (before, starts) = (states(&home, &self.now(&home)?), ids(&told));
        // Neither a signal nor the limit of a step ends it: half of it would be a node without a kubelet.
        let undisturbed = Interrupt::default();
        let restarted = self.call(command, &home, "restart its kubelet", &undisturbed)?;

        let asked = Instant::now();
        let started = |told: &Output| told.succeeded() && !ids(told).is_subset(&starts);
        self.until("has not started again", started, || self.kubelet_starts())?;
        let first = first(&home);
        let what = format!("has started again and does not let {first} be used");
        self.until(&what, Output::succeeded, || self.exec(first, "shm_ls", &["--json"], None))?;
        let took = asked.elapsed();
        thread::sleep(FIRST_LOOK);
        if states(&home, &self.now(&home)?) != before {
            let (node, pod) = (self.node(), &home.name);
            return Err(EngineError::Diverged {
                what: format!("with the kubelet of {node}, containers of {pod} were restarted"),
                next_step: "give a command that restarts the kubelet as it is".to_owned(),
            });
        }
        Ok(StepOutcome::Observed(self.observe(first, restarted, took)?))
    }

    /// Asks until the answer is as wanted; `what` is said of a kubelet of which it never is.
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
            let next_step = "see what it says on its node, and whether the command restarts it";
            failed(what, last).with_next_step(next_step).into()
        })
    }

    /// The starts of the node's kubelet that the cluster remembers, by the ids of its events.
    fn kubelet_starts(&self) -> Result<Output, EngineError> {
        let of_nodes = Client { namespace: OF_NODES.to_owned(), ..self.client.clone() };
        let node = self.node();
        let selector = format!(
            "involvedObject.kind=Node,involvedObject.name={node},reason=Starting,source=kubelet"
        );
        let ids = "jsonpath={.items[*].metadata.uid}";
        of_nodes.invoke(&["get", "events", "--output", ids, "--field-selector", &selector])
    }

    /// The node that all pods are on.
    fn node(&self) -> String {
        self.know(|known| known.node.clone()).map(String::from).unwrap_or_default()
    }

    /// Runs a command that the user gave, about a pod; it must succeed.
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
            let what = format!("{}: the command to {to} failed", home.name);
            return Err(failed(what, output).into());
        }
        Ok(output)
    }
}

/// Which of a pod's containers run, and how often each was restarted; nothing where it is gone.
fn states(home: &Deployed, pods: &[Pod]) -> Vec<(bool, u32)> {
    let members = home.workload.pods[0].containers.iter();
    let state = |pod: &Pod| {
        let state = |name| (pod.runs(name), pod.restarts(name));
        members.map(|member| state(member.name.0)).collect()
    };
    home.among(pods).map(state).unwrap_or_default()
}

/// The container that speaks for its pod.
fn first(home: &Deployed) -> Container {
    home.workload.pods[0].containers[0].name
}

fn ids(told: &Output) -> BTreeSet<Untrusted> {
    told.text().words().collect()
}
