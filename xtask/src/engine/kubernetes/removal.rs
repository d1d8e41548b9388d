//! Removing what a run made.

use std::time::Duration;

use super::Ground;
use super::client::Client;
use super::pod::Pod;
use crate::engine::EngineError;
use crate::invocation::Transcript;

/// How long something may take to be gone, as kubectl takes it, and kubectl itself.
pub(super) const GOES_WITHIN: &str = "50s";
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// What makes pods.
const CONTROLLERS: &str = "deployments,statefulsets,jobs";

/// Removes the pods of a run, their controllers where there are any, and the namespace where that
/// is the run's own.
pub(super) fn remove(
    client: &Client,
    selector: &str,
    controlled: bool,
    ground: Ground,
) -> Result<(), EngineError> {
    let delete = |args: &[&str]| {
        let common = ["--ignore-not-found", "--timeout", GOES_WITHIN, "--selector", selector];
        let delete = client.kubectl(&[&["delete"], args, &common].concat());
        // A kubelet takes its time, however little of it a step may take.
        delete.timeout(ANSWERS_WITHIN).run(&client.interrupt.with_limit(None))
    };
    let mut deleted = vec![];
    let controllers = match (controlled, ground) {
        // What is not gone by then goes with the namespace.
        (true, Ground::Shared) => Some(delete(&[CONTROLLERS, "--wait=false"])?),
        // Before their pods: they would make others.
        (true, _) => Some(delete(&[CONTROLLERS, "--cascade=foreground"])?),
        (false, _) => None,
    };
    // There is nothing in them to be saved, and a namespace waits long for pods that are going.
    deleted.push(delete(&["pods", "--grace-period", "0", "--force"])?);
    // What waited for its pods in vain may be gone with them.
    if controllers.is_some_and(|it| !it.succeeded()) {
        deleted.push(delete(&[CONTROLLERS])?);
    }
    if ground == Ground::Own {
        // With a pod in it that does not go, it does not either.
        let wait = format!("--wait={}", deleted.iter().all(Transcript::succeeded));
        deleted.push(delete(&["namespaces", &wait])?);
    }
    match deleted.into_iter().find(|it| !it.succeeded()) {
        None => Ok(()),
        Some(transcript) => Err(left(client, selector, transcript)),
    }
}

/// Names what did not go, and what holds it.
fn left(client: &Client, selector: &str, transcript: Transcript) -> EngineError {
    let pods: Vec<Pod> = client.list("pods", selector).unwrap_or_default();
    let held = pods.iter().find_map(|pod| held(pod, &client.namespace));
    let what = held
        .unwrap_or_else(|| format!("objects labelled {selector} may be left: cargo xtask clean"));
    EngineError::Refused { what, transcript }
}

/// What holds a pod that is going, and what to do about it.
pub(super) fn held(pod: &Pod, namespace: &str) -> Option<String> {
    let finalizers = pod.held_by()?.join(", ");
    let name = &pod.metadata.name;
    Some(format!(
        "pod {name} does not go: it waits for {finalizers}; next step: find out who is to remove \
         that, or kubectl --namespace {namespace} patch pod {name} --type merge --patch \
         '{{\"metadata\":{{\"finalizers\":null}}}}', then cargo xtask clean"
    ))
}
