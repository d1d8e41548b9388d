//! What killed runs have left in a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::account::Account;
use crate::engine::kubernetes::client::{Client, List};
use crate::engine::kubernetes::leftovers;
use crate::host::Remains;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, Transcript};
use crate::ledger::{Liveness, OWNER_LABEL, Owner, REMAINS_ANNOTATION, RUN_LABEL};

/// How long the cluster may take to answer.
const ANSWERS: Duration = Duration::from_secs(20);
/// How long a namespace may take to be gone.
const PATIENCE: Duration = Duration::from_mins(3);

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Removes what runs that are gone have left in the cluster and on its nodes: the cluster that kubectl is
/// configured for, if any.
///
/// # Errors
///
/// Where the cluster does not answer, or something could not be removed.
pub(super) fn clean(interrupt: &Interrupt, account: &mut Account) -> Result<()> {
    match Invocation::new("kubectl", ["config", "current-context"]).run(interrupt) {
        Ok(transcript) if transcript.succeeded() => {}
        // Where there is no cluster there is nothing of it.
        Ok(_) | Err(InvocationError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    // While its pods are there that see the node.
    for pod in find("pods", interrupt)? {
        from_the_node(&pod, interrupt, account);
    }
    // What makes pods goes before them. What does not go keeps nothing else from it.
    let mut failed = Ok(());
    for kind in ["namespaces", "deployments", "statefulsets", "jobs", "pods"] {
        for metadata in find(kind, interrupt)? {
            failed = failed.and(remove(kind, &metadata, interrupt, account));
        }
    }
    failed
}

/// What runs have made of a kind; where not all of the cluster may be looked at, in the namespace that
/// kubectl is configured for.
fn find(kind: &str, interrupt: &Interrupt) -> Result<Vec<Metadata>> {
    let get = ["get", kind, "--selector", RUN_LABEL, "--output", "json"];
    let everywhere = [&get[..], &["--all-namespaces"]].concat();
    let mut found = Invocation::new("kubectl", everywhere).timeout(ANSWERS).run(interrupt)?;
    if found.last_words().contains("Forbidden") {
        // Namespaces are made by those who may look at them.
        if kind == "namespaces" {
            return Ok(vec![]);
        }
        found = Invocation::new("kubectl", get).timeout(ANSWERS).run(interrupt)?;
    }
    demand_success(&found)?;
    let list: List<Item> = serde_json::from_slice(&found.stdout)?;
    Ok(list.items.into_iter().map(|item| item.metadata).collect())
}

/// Removes what a run that is gone has left on a node, through its pod that sees that.
fn from_the_node(pod: &Metadata, interrupt: &Interrupt, account: &mut Account) {
    let remains = pod.annotations.get(REMAINS_ANNOTATION);
    let remains: Option<Remains> = remains.and_then(|it| serde_json::from_str(it).ok());
    let (Some(remains), Some(namespace)) = (remains, &pod.namespace) else { return };
    if owner(pod).is_none_or(|owner| owner.liveness() != Liveness::Dead) {
        return;
    }
    let client =
        Client { access: vec![], namespace: namespace.clone(), interrupt: interrupt.clone() };
    let name = &pod.name;
    let things = format!("what was left on the node of {name}");
    let remove = || leftovers::remove_all(&client, name, &remains).map(drop);
    if let Err(error) = account.remove("kubernetes", things, remove) {
        // The pods go all the same.
        account.tell(format_args!("kubernetes: {error}"));
    }
}

fn owner(it: &Metadata) -> Option<Owner> {
    it.annotations.get(OWNER_LABEL)?.parse().ok()
}

fn remove(kind: &str, it: &Metadata, interrupt: &Interrupt, account: &mut Account) -> Result<()> {
    let name = match &it.namespace {
        Some(namespace) => format!("{namespace}/{}", it.name),
        None => it.name.clone(),
    };
    match owner(it).map(|owner| owner.liveness()) {
        Some(Liveness::Alive) => {
            account.tell(format_args!("kubernetes: {kind} {name} belongs to a run that goes on"));
        }
        Some(Liveness::Dead) => {
            let namespace = it.namespace.as_deref().unwrap_or("default");
            let mut args = vec!["delete", kind, &it.name, "--namespace", namespace];
            args.extend(["--ignore-not-found", "--cascade=foreground"]);
            let delete = Invocation::new("kubectl", args).timeout(PATIENCE);
            let remove = || demand_success(&delete.run(interrupt)?);
            account.remove("kubernetes", format_args!("{kind} {name}"), remove)?;
        }
        Some(Liveness::Elsewhere) | None => account.tell(format_args!(
            "kubernetes: {kind} {name} was made on another machine or before the last boot, so its \
             run may go on; if not: kubectl delete {kind} {name}"
        )),
    }
    Ok(())
}

fn demand_success(transcript: &Transcript) -> Result<()> {
    if !transcript.succeeded() {
        bail!("`{}` failed: {}", transcript.command_line(), transcript.last_words());
    }
    Ok(())
}
