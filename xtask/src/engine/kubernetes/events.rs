//! Events of pods: creation, termination and replacement.

use std::slice;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::manifest::{self, END, WORKLOAD_LABEL, workload_selector};
use super::pod::Pod;
use super::removal::{self, DELETE_TIMEOUT};
use super::state::Deployed;
use super::wait::{LOOK_EVERY, Waited};
use crate::engine::docker::inspect::reported_anywhere;
use crate::engine::kubernetes::client::failed;
use crate::engine::kubernetes::failure::classify;
use crate::engine::kubernetes::{Kubernetes, image_name};
use crate::engine::observation::{Identity, Observation, State};
use crate::engine::{EngineError, FailureKind, StepOutcome};
use crate::process::invocation::Output;
use crate::process::poll::poll_until;
use crate::process::untrusted::Untrusted;
use crate::script::{Container, Controller, Workload};

/// The time limit for the removal of a pod: the kubelet of a busy machine took over a minute.
const PATIENCE: Duration = Duration::from_mins(4);

impl Kubernetes {
    /// Creates the pods of a workload, and waits until they run.
    pub(super) fn deploy(&self, workload: &Workload) -> Result<StepOutcome, EngineError> {
        let object = self.name(workload.pods[0].name);
        self.record(manifest::kind(workload.controller), &object)?;
        let mut metadata = self.metadata(object.clone(), Some(self.client.namespace.clone()))?;
        metadata.labels.insert(WORKLOAD_LABEL, object.clone());
        let node = self.with_record(|known| known.node.clone());
        let spec = manifest::pod(workload, self.cluster.image(), node.as_deref());
        self.used.store(true, Ordering::SeqCst);
        let created = self.client.create(&manifest::workload(workload, &metadata, &spec))?;
        if !created.succeeded() {
            return Ok(refused(created.into()));
        }
        let members = workload.pods[0].containers;
        let init = members.iter().any(|member| member.init);
        let first: Vec<_> = members.iter().filter(|it| it.init == init).map(|it| it.name).collect();
        let run = |pods: &[Pod]| pods.iter().all(|pod| first.iter().all(|it| pod.runs(it.0)));
        match self.wait(workload, &object, run)? {
            Waited::Never(never) if never.kind == FailureKind::Rejected => {
                let stderr = never.to_string().into_bytes();
                Ok(refused(Output { stderr, ..created }.into()))
            }
            Waited::Never(never) => Err(EngineError::PodFailed { pod: object, why: never }),
            Waited::Pods(pods, took) => {
                self.assign(workload, &object, &pods)?;
                Ok(StepOutcome::Observed(self.observe(first[0], created, took)?))
            }
        }
    }

    /// Records which pods correspond to the pods of the script.
    fn assign(&self, workload: &Workload, object: &str, pods: &[Pod]) -> Result<(), EngineError> {
        self.with_record(|known| {
            for (wanted, pod) in workload.pods.iter().zip(pods) {
                let (name, uid) = (pod.metadata.name.clone(), pod.metadata.uid.clone());
                let (workload, object) = (*workload, object.to_owned());
                known.deployed(wanted.name, Deployed { workload, object, name, uid });
                if known.node.is_none() {
                    known.node = pod.node()?;
                }
            }
            Ok(())
        })
    }

    /// Returns the observation of a command, with the container's namespace. Also reads the
    /// namespaces of the workload's other containers, which the command may have changed.
    pub(super) fn observe(
        &self,
        container: Container,
        done: Output,
        took: Duration,
    ) -> Result<Observation, EngineError> {
        let home = self.home(container)?;
        let members = home.workload.pods.iter().flat_map(|pod| pod.containers);
        let others = members.map(|member| member.name).filter(|it| *it != container);
        for container in others.chain([container]) {
            self.read_namespace(container)?;
        }
        let namespace = self.with_record(|known| known.namespace_of(container));
        let output = Output { duration: done.duration + took, ..done };
        Ok(Observation { namespace, state: Some(State::Running), ..output.into() })
    }

    /// Runs `shm_ls` in a container to read its namespace.
    fn read_namespace(&self, container: Container) -> Result<(), EngineError> {
        let asked = self.exec(container, "shm_ls", &["--json"], None)?;
        // The containers of one node are compared with each other, not with this machine.
        let namespace =
            reported_anywhere(&asked.stdout).map_or_else(Identity::Foreign, Identity::Kernel);
        self.with_record(|known| known.set_namespace(container, namespace));
        Ok(())
    }

    /// Returns the pod of a container.
    pub(super) fn home(&self, container: Container) -> Result<Deployed, EngineError> {
        let found = self.with_record(|known| known.pod(known.home(container).unwrap_or(container)));
        found.ok_or_else(|| EngineError::Script(format!("{container} is in no pod")))
    }

    /// Reads the current state of the pods of a workload.
    pub(super) fn now(&self, of: &Deployed) -> Result<Vec<Pod>, EngineError> {
        self.client.list("pods", &workload_selector(&of.object))
    }

    /// Makes a container's process exit, through a command in the container.
    fn end(&self, container: Container) -> Result<Output, EngineError> {
        let ended = self.exec(container, "shm_wr", &["--file", END, "end"], None)?;
        // The end of the container may kill `shm_wr` before it exits.
        if matches!(ended.exit_code, Some(0 | 137)) {
            return Ok(Output { exit_code: Some(0), ..ended });
        }
        let what = format!("cannot end the process of {container}");
        Err(failed(what, ended).into())
    }

    /// Ends a container's process, or waits until it fails by itself, as a job's process does. Then
    /// waits until the kubelet or the controller has started another one.
    pub(super) fn crash(&self, container: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(container)?;
        let name = self.with_record(|known| known.name_of(container));
        let before = self.now(&home)?;
        let again = restarted(&home, &name, &before);
        let controller = home.workload.controller;
        let asked = if controller.is_job() {
            self.client.invoke(&["get", "job", &home.object])?
        } else {
            self.end(container)?
        };
        if controller == Controller::JobNever {
            return self.replaced(container, &home, slice::from_ref(&home.uid), asked);
        }
        self.wait_until_ready(container, &home, asked, again)
    }

    /// Sets a container's image to another name of the same image. The kubelet treats it as another
    /// image and replaces the container.
    pub(super) fn change_image(&self, container: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(container)?;
        let name = self.with_record(|known| known.name_of(container));
        let before = self.now(&home)?;
        let id = home.among(&before).map(|pod| pod.image_id(&name)).unwrap_or_default();
        let Some(other) = image_name::other(self.cluster.image(), &id)? else {
            return Ok(StepOutcome::Skipped("the image has no other name".to_owned()));
        };
        let (pod, image) = (format!("pod/{}", home.name), format!("{name}={other}"));
        let set = self.client.invoke(&["set", "image", &pod, &image])?;
        if !set.succeeded() {
            return Ok(refused(set.into()));
        }
        self.with_record(|known| known.other_image = Some(other.clone()));
        let again = restarted(&home, &name, &before);
        match self.wait_until_ready(container, &home, set, again) {
            // The runtime resolves names differently, which is no result about shared memory.
            Err(EngineError::PodFailed { why, .. }) if why.kind == FailureKind::NoImage => {
                Ok(StepOutcome::Skipped(format!("{other} is not a name of the image: {why}")))
            }
            answer => answer,
        }
    }

    /// Ends an init container, and waits until the pod's main containers run.
    pub(super) fn finish(&self, container: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(container)?;
        let members = home.workload.pods[0].containers.iter().filter(|member| !member.init);
        let main: Vec<_> = members.map(|member| member.name).collect();
        let ended = self.end(container)?;
        let run = |pods: &[Pod]| pods.iter().all(|pod| main.iter().all(|it| pod.runs(it.0)));
        self.wait_until_ready(main[0], &home, ended, run)
    }

    /// Makes a pod's controller replace the pod, and waits for the new one.
    pub(super) fn replace(&self, pod: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(pod)?;
        let first = home.workload.pods.iter().find(|it| it.name == pod);
        let first = first.map_or(pod, |pod| pod.containers[0].name);
        if home.workload.controller == Controller::Deployment {
            let pods = self.now(&home)?;
            let old: Vec<_> = pods.into_iter().map(|pod| pod.metadata.uid).collect();
            let restart = ["rollout", "restart", "deployment", &home.object];
            return self.replaced(first, &home, &old, self.client.invoke(&restart)?);
        }
        let deleted = self.delete(&home, "pod", &home.name)?;
        self.replaced(first, &home, slice::from_ref(&home.uid), deleted)
    }

    /// Deletes a pod, or the object that it belongs to. Waits until the pod with this uid is gone;
    /// another pod may have its name. A refusal of the cluster is in the output, not an error.
    fn delete(&self, pod: &Deployed, kind: &str, name: &str) -> Result<Output, EngineError> {
        let interrupt = &self.client.interrupt;
        let (asked, patience) = (Instant::now(), interrupt.limit_or(PATIENCE));
        let deleted = self.client.invoke(&["delete", kind, name, "--timeout", DELETE_TIMEOUT])?;
        if deleted.succeeded() {
            return Ok(deleted);
        }
        let gone = poll_until(LOOK_EVERY, asked + patience, interrupt, || {
            let pods = self.now(pod)?;
            let Some(there) = pod.among(&pods) else {
                // The pod was removed after kubectl gave up.
                let (exit_code, duration) = (Some(0), asked.elapsed());
                return Ok(Some(Output { exit_code, duration, ..deleted.clone() }));
            };
            if !there.is_terminating() {
                return Ok(Some(deleted.clone()));
            }
            if there.is_stopped()
                && let Some(held) = removal::held(there, &self.client.namespace, &deleted)
            {
                return Err(held.into());
            }
            Ok::<_, EngineError>(None)
        })?;
        gone.ok_or_else(|| {
            let what = format!("pod {} still exists after {} s", pod.name, patience.as_secs());
            let next_step = "check its node (kubectl get nodes) and the kubelet's log there";
            failed(what, deleted).with_next_step(next_step).into()
        })
    }

    /// Waits until new pods have replaced those with the uids `old`, after the command `asked`.
    fn replaced(
        &self,
        first: Container,
        home: &Deployed,
        old: &[Untrusted],
        asked: Output,
    ) -> Result<StepOutcome, EngineError> {
        if !asked.succeeded() {
            let what = format!("cannot replace pod {}", home.name);
            return Err(failed(what, asked).into());
        }
        let members = home.workload.pods[0].containers;
        let is_new = |pod: &Pod| {
            !old.contains(&pod.metadata.uid) && members.iter().all(|it| pod.runs(it.name.0))
        };
        let kept = home.workload.pods.len().saturating_sub(old.len());
        let are_new =
            |pods: &[Pod]| pods.iter().filter(|pod| is_new(pod)).count() >= pods.len() - kept;
        self.wait_until_ready(first, home, asked, are_new)
    }

    /// Waits for the pods of a workload, and observes the container `first` in them.
    pub(super) fn wait_until_ready(
        &self,
        first: Container,
        home: &Deployed,
        done: Output,
        is_back: impl Fn(&[Pod]) -> bool,
    ) -> Result<StepOutcome, EngineError> {
        match self.wait(&home.workload, &home.object, is_back)? {
            Waited::Pods(pods, took) => {
                self.assign(&home.workload, &home.object, &pods)?;
                Ok(StepOutcome::Observed(self.observe(first, done, took)?))
            }
            Waited::Never(why) => Err(EngineError::PodFailed { pod: home.name.to_string(), why }),
        }
    }

    /// Adds a debug container to a running pod.
    pub(super) fn debug(
        &self,
        pod: Container,
        container: Container,
    ) -> Result<StepOutcome, EngineError> {
        let home = self.home(pod)?;
        let (name, image) = (container.0.to_lowercase(), self.cluster.image());
        let debug = ["debug", &home.name, "--container", &name, "--image", image];
        let command = manifest::command(Controller::Nobody);
        let args = [&debug[..], &["--image-pull-policy", "IfNotPresent", "--"], &command].concat();
        let added = self.client.invoke(&args)?;
        if !added.succeeded() {
            return Ok(refused(added.into()));
        }
        self.with_record(|known| known.joined(pod, container, &name));
        let runs = |pods: &[Pod]| pods.iter().all(|it| it.runs(&name));
        self.wait_until_ready(container, &home, added, runs)
    }

    pub(super) fn remove(&self, pod: Container) -> Result<StepOutcome, EngineError> {
        let home = self.home(pod)?;
        let kind = manifest::kind(home.workload.controller);
        let deleted = self.delete(&home, kind, &home.object)?;
        self.with_record(|known| known.removed(pod));
        let state = if deleted.succeeded() { State::Gone } else { State::Refused };
        Ok(StepOutcome::Observed(Observation { state: Some(state), ..deleted.into() }))
    }
}

/// Returns a predicate: a pod's container runs, and has restarted since `before`.
pub(super) fn restarted(home: &Deployed, name: &str, before: &[Pod]) -> impl Fn(&[Pod]) -> bool {
    let count = home.among(before).map_or(0, |pod| pod.restarts(name));
    move |now| home.among(now).is_some_and(|pod| pod.runs(name) && pod.restarts(name) > count)
}

/// Returns the outcome of a refused command: skipped if this cluster does not support it.
fn refused(observation: Observation) -> StepOutcome {
    match classify(&observation.output) {
        FailureKind::Unsupported(line) => {
            StepOutcome::Skipped(format!("not supported here: {line}"))
        }
        _ => StepOutcome::Observed(Observation { state: Some(State::Refused), ..observation }),
    }
}
