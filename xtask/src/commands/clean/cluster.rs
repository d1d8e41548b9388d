//! Removes what killed runs left in a cluster.

use anyhow::{Result, bail};

use crate::commands::clean::Summary;
use crate::engine::kubernetes::client::Client;
use crate::engine::kubernetes::removal::Removal;
use crate::engine::kubernetes::{cluster, orphans};
use crate::process::interrupt::Interrupt;
use crate::process::labels::RunId;
use crate::process::ledger::{ClusterAt, Entry};

/// The entries of one run for one namespace of a cluster.
struct Part<'a> {
    cluster: &'a ClusterAt,
    run: &'a RunId,
    namespace: &'a str,
    entries: Vec<Entry>,
}

/// Removes a ledger's objects, and what pods left on nodes. Returns the entries that remain.
pub(super) fn clean(entries: &[Entry], interrupt: &Interrupt, summary: &mut Summary) -> Vec<Entry> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for entry in entries {
        let (Entry::Object { cluster, run, namespace, .. }
        | Entry::NodeMemory { cluster, run, namespace, .. }) = entry
        else {
            continue;
        };
        let is_same =
            |it: &&mut Part| (it.cluster, it.run, &it.namespace) == (cluster, run, &&**namespace);
        match parts.iter_mut().find(is_same) {
            Some(part) => part.entries.push(entry.clone()),
            None => parts.push(Part { cluster, run, namespace, entries: vec![entry.clone()] }),
        }
    }
    // Remove a namespace after the objects that other runs made in it.
    parts.sort_by_key(Part::has_namespace);
    let mut left = Vec::new();
    for part in parts {
        let cleaned = part.clean(interrupt, summary);
        if let Err(error) = &cleaned {
            summary.fail(format_args!("kubernetes: {error:#}"));
        }
        if cleaned.is_err() || summary.dry_run {
            left.extend(part.entries);
        }
    }
    left
}

impl Part<'_> {
    fn has_namespace(&self) -> bool {
        let is_namespace =
            |it: &Entry| matches!(it, Entry::Object { kind, .. } if kind == "namespace");
        self.entries.iter().any(is_namespace)
    }

    fn clean(&self, interrupt: &Interrupt, summary: &mut Summary) -> Result<()> {
        let ClusterAt { access, environment, server } = self.cluster;
        let now = cluster::server(access, interrupt)?;
        if now != *server {
            let variables: Vec<_> = environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
            bail!(
                "kubectl uses the API server {now}, but the ledger names {server}\nnext step: make \
                 kubectl use that server again, then run {} cargo xtask clean",
                variables.join(" ")
            );
        }
        let (access, namespace) = (access.clone(), self.namespace.to_owned());
        let client = Client { access, namespace, interrupt: interrupt.clone() };
        let removal = Removal::new(&client, self.run, &self.entries);
        let present = removal.find()?;
        if summary.dry_run {
            for name in present.names() {
                summary.report(format_args!("kubernetes: would remove {name}"));
            }
            return Ok(());
        }
        for entry in &self.entries {
            let Entry::NodeMemory { pod, left, .. } = entry else { continue };
            // This runs in the pod that shares the node's IPC namespace. Do it before its removal.
            if present.names().any(|name| name == format!("pod/{pod}")) {
                match orphans::remove_all(&client, pod, left) {
                    Ok(0) => {}
                    Ok(count) => summary.report(format_args!(
                        "kubernetes: removed {count} objects on the node of {pod}"
                    )),
                    // Remove the pods nevertheless.
                    Err(error) => summary.fail(format_args!("kubernetes: {error}")),
                }
            }
        }
        removal.remove(&present, false)?;
        for name in present.names() {
            summary.report(format_args!("kubernetes: removed {name}"));
        }
        Ok(())
    }
}
