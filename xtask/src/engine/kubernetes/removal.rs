//! Removing what a run made.

use std::time::Duration;

use super::Ground;
use super::client::Client;
use super::pod::Pod;
use crate::engine::EngineError;
use crate::invocation::Transcript;

/// How long something may take to be gone, as kubectl takes it, and kubectl itself.
const GOES_WITHIN: &str = "50s";
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// How often it is given that time where nothing holds it: a kubelet took over a minute on a busy machine.
const ATTEMPTS: usize = 4;
/// What kubectl says when that time is over.
const TIMED_OUT: &str = "timed out waiting";

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
    match (controlled, ground) {
        // What is not gone by then goes with the namespace.
        (true, Ground::Shared) => deleted.push(delete(&[CONTROLLERS, "--wait=false"])?),
        // Before their pods: they would make others.
        (true, _) => deleted.push(delete(&[CONTROLLERS, "--cascade=foreground"])?),
        (false, _) => {}
    }
    // There is nothing in them to be saved, and a namespace waits long for pods that are going.
    deleted.push(delete(&["pods", "--grace-period", "0", "--force"])?);
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

/// Has one object deleted, whose pods are labelled so, and waits until it is gone; what the cluster
/// refuses is an answer.
pub(super) fn remove_one(
    client: &Client,
    selector: &str,
    kind: &str,
    name: &str,
) -> Result<Transcript, EngineError> {
    let delete = ["delete", kind, name, "--ignore-not-found", "--timeout", GOES_WITHIN];
    let mut deleted = client.invoke(&delete)?;
    for _ in 1..ATTEMPTS {
        if !deleted.last_words().contains(TIMED_OUT) || held(client, selector).is_some() {
            break;
        }
        deleted = client.invoke(&delete)?;
    }
    if deleted.last_words().contains(TIMED_OUT) {
        return Err(left(client, selector, deleted));
    }
    Ok(deleted)
}

/// The pod that something else holds, if one is.
fn held(client: &Client, selector: &str) -> Option<Pod> {
    let pods: Vec<Pod> = client.list("pods", selector).unwrap_or_default();
    pods.into_iter().find(|pod| !pod.metadata.finalizers.is_empty())
}

/// Names what did not go, and what holds it.
fn left(client: &Client, selector: &str, transcript: Transcript) -> EngineError {
    let what = match held(client, selector) {
        Some(pod) => {
            let (name, namespace) = (&pod.metadata.name, &client.namespace);
            let finalizers = pod.metadata.finalizers.join(", ");
            format!(
                "pod {name} does not go: it waits for {finalizers}; next step: find out who is to \
                 remove that, or kubectl --namespace {namespace} patch pod {name} --type merge \
                 --patch '{{\"metadata\":{{\"finalizers\":null}}}}', then cargo xtask clean"
            )
        }
        None => format!("objects labelled {selector} may be left: cargo xtask clean"),
    };
    EngineError::Refused { what, transcript }
}
