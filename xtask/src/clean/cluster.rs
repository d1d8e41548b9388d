//! What killed runs have left in a cluster.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, Transcript};
use crate::ledger::{Liveness, OWNER_LABEL, Owner, RUN_LABEL};

/// How long the cluster may take to answer.
const ANSWERS: Duration = Duration::from_secs(20);
/// How long a namespace may take to be gone.
const PATIENCE: Duration = Duration::from_mins(3);

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

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

/// Removes the namespaces and the pods of runs that are gone from the cluster that kubectl is
/// configured for, if any.
///
/// # Errors
///
/// Where the cluster does not answer, or something could not be removed.
pub(super) fn clean(interrupt: &Interrupt, out: &mut Vec<u8>) -> Result<()> {
    match Invocation::new("kubectl", ["config", "current-context"]).run(interrupt) {
        Ok(transcript) if transcript.succeeded() => {}
        // Where there is no cluster there is nothing of it.
        Ok(_) | Err(InvocationError::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    for kind in ["namespaces", "pods"] {
        let args = ["get", kind, "--all-namespaces", "--selector", RUN_LABEL, "--output", "json"];
        let found = succeed(&Invocation::new("kubectl", args).timeout(ANSWERS), interrupt)?;
        let list: List = serde_json::from_slice(&found.stdout)?;
        for Item { metadata } in list.items {
            remove(kind, &metadata, interrupt, out)?;
        }
    }
    Ok(())
}

fn remove(kind: &str, it: &Metadata, interrupt: &Interrupt, out: &mut Vec<u8>) -> Result<()> {
    let owner = it.annotations.get(OWNER_LABEL).and_then(|owner| owner.parse::<Owner>().ok());
    let name = match &it.namespace {
        Some(namespace) => format!("{namespace}/{}", it.name),
        None => it.name.clone(),
    };
    match owner.map(|owner| owner.liveness()) {
        Some(Liveness::Alive) => {
            writeln!(out, "kubernetes: {kind} {name} belongs to a run that goes on")?;
        }
        Some(Liveness::Dead) => {
            let namespace = it.namespace.as_deref().unwrap_or("default");
            let args = ["delete", kind, &it.name, "--namespace", namespace, "--ignore-not-found"];
            succeed(&Invocation::new("kubectl", args).timeout(PATIENCE), interrupt)?;
            writeln!(out, "kubernetes: removed {kind} {name}")?;
        }
        Some(Liveness::Elsewhere) | None => writeln!(
            out,
            "kubernetes: {kind} {name} was made on another machine or before the last boot, so its \
             run may go on; if not: kubectl delete {kind} {name}"
        )?,
    }
    Ok(())
}

fn succeed(invocation: &Invocation, interrupt: &Interrupt) -> Result<Transcript> {
    let transcript = invocation.run(interrupt)?;
    if !transcript.succeeded() {
        bail!("`{}` failed: {}", transcript.command_line(), transcript.last_words());
    }
    Ok(transcript)
}
