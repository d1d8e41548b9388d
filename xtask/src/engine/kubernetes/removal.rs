//! Removal of a run's objects: the ledger names them, and their label has the run's id.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::client::{Client, failed, parse};
use super::manifest::WORKLOAD_LABEL;
use super::pod::Pod;
use crate::engine::{CommandFailure, EngineError};
use crate::process::invocation::Output;
use crate::process::labels::{RUN_LABEL, RunId};
use crate::process::ledger::Entry;
use crate::process::name::{CheckedName, Subdomain};
use crate::process::untrusted::Untrusted;

/// The time limits for a deletion, as an argument of kubectl, and for kubectl itself.
pub(super) const DELETE_TIMEOUT: &str = "50s";
const KUBECTL_TIMEOUT: Duration = Duration::from_mins(1);

/// The kinds of objects that create pods.
const CONTROLLERS: &str = "deployments,statefulsets,jobs";

/// The objects that a ledger names of one run in one namespace, as kind and name.
pub(crate) struct Removal<'a> {
    pub(crate) client: &'a Client,
    pub(crate) run: &'a RunId,
    named: Vec<(&'a str, &'a str)>,
}

/// Those of the objects that exist and have the run's label.
#[derive(Debug, Default)]
pub(crate) struct Present {
    /// As `kind/name`.
    controllers: Vec<String>,
    pods: Vec<CheckedName<Subdomain>>,
    namespace: Option<CheckedName<Subdomain>>,
}

impl Present {
    /// Returns the objects as `kind/name`.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let pods = self.pods.iter().map(|pod| format!("pod/{pod}"));
        let namespace = self.namespace.iter().map(|name| format!("namespace/{name}"));
        self.controllers.iter().cloned().chain(pods).chain(namespace)
    }
}

#[derive(Deserialize)]
struct ListedObject {
    kind: String,
    metadata: ListedMetadata,
}

#[derive(Deserialize)]
struct ListedMetadata {
    name: CheckedName<Subdomain>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl<'a> Removal<'a> {
    /// Creates a removal of the entries of the run in the client's namespace.
    pub(crate) fn new(client: &'a Client, run: &'a RunId, entries: &'a [Entry]) -> Self {
        let object = |entry: &'a Entry| match entry {
            Entry::Object { run: of, namespace, kind, name, .. } => (of == run
                && *namespace == client.namespace)
                .then_some((kind.as_str(), name.as_str())),
            _ => None,
        };
        Self { client, run, named: entries.iter().filter_map(object).collect() }
    }

    /// Returns the objects that exist. Fails if the cluster does not list them.
    pub(crate) fn find(&self) -> Result<Present, EngineError> {
        let selector = format!("{RUN_LABEL}={}", self.run);
        let mut present = Present::default();
        if self.named.iter().any(|(kind, _)| !matches!(*kind, "pod" | "namespace")) {
            for it in self.client.list::<ListedObject>(CONTROLLERS, &selector)? {
                let (kind, name) = (it.kind.to_lowercase(), &it.metadata.name);
                if self.carries(&it.metadata.labels) && self.named.contains(&(&kind, name)) {
                    present.controllers.push(format!("{kind}/{name}"));
                }
            }
        }
        for pod in self.client.list::<Pod>("pods", &selector)? {
            let (name, labels) = (&pod.metadata.name, &pod.metadata.labels);
            // The ledger has the name of a pod's controller, which is in a label of the pod.
            let creator = labels.get(WORKLOAD_LABEL).map_or(&**name, String::as_str);
            let named = self.named.iter().any(|(_, it)| *it == creator);
            if self.carries(labels) && named {
                present.pods.push(name.clone());
            }
        }
        if let Some((kind, name)) = self.named.iter().find(|(kind, _)| *kind == "namespace") {
            let get = ["get", kind, name, "--ignore-not-found", "--output", "json"];
            let got = self.client.invoke(&get)?;
            if !got.succeeded() {
                let what = format!("namespace {name} may be left");
                return Err(failed(what, got).into());
            }
            if !got.text().is_empty() {
                let it: ListedObject = parse(&got)?;
                let ours = self.carries(&it.metadata.labels) && *it.metadata.name == **name;
                present.namespace = ours.then_some(it.metadata.name);
            }
        }
        Ok(present)
    }

    fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(RUN_LABEL) == Some(&self.run.to_string())
    }

    /// Removes the objects. Does not wait for controllers if the namespace is deleted `later`.
    /// Fails if something may be left.
    pub(crate) fn remove(&self, present: &Present, later: bool) -> Result<(), EngineError> {
        let delete = |args: &[&str], names: &[&str]| {
            if names.is_empty() {
                return Ok(None);
            }
            let common = ["--ignore-not-found", "--timeout", DELETE_TIMEOUT];
            let delete = self.client.kubectl(&[&["delete"], args, &common, names].concat());
            // The time limit of a step is too short for a slow kubelet.
            let deleted =
                delete.timeout(KUBECTL_TIMEOUT).run(&self.client.interrupt.with_limit(None))?;
            Ok::<_, EngineError>(Some(deleted))
        };
        let controllers: Vec<_> = present.controllers.iter().map(String::as_str).collect();
        let pods: Vec<_> = present.pods.iter().map(|name| &**name).collect();
        // Before their pods, which they would replace.
        let wait = if later { "--wait=false" } else { "--cascade=foreground" };
        let first = delete(&[wait], &controllers)?;
        // The pods hold no data, and a namespace waits long for terminating pods.
        let mut deleted: Vec<_> =
            delete(&["pods", "--grace-period", "0", "--force"], &pods)?.into_iter().collect();
        // Retry for controllers whose deletion timed out while it waited for their pods.
        if first.is_some_and(|it| !it.succeeded()) {
            deleted.extend(delete(&[], &controllers)?);
        }
        if let Some(namespace) = &present.namespace {
            // A namespace stays as long as a pod in it does: do not wait then.
            let wait = format!("--wait={}", deleted.iter().all(Output::succeeded));
            deleted.extend(delete(&["namespaces", &wait], &[&**namespace])?);
        }
        match deleted.into_iter().find(|it| !it.succeeded()) {
            None => Ok(()),
            Some(output) => Err(self.left(output)),
        }
    }

    /// Returns the error for objects that may be left: a pod with finalizers, if there is one.
    fn left(&self, output: Output) -> EngineError {
        let selector = format!("{RUN_LABEL}={}", self.run);
        let pods: Vec<Pod> = self.client.list("pods", &selector).unwrap_or_default();
        let held = pods.iter().find_map(|pod| held(pod, &self.client.namespace, &output));
        let what = || format!("objects labelled {selector} may be left: run cargo xtask clean");
        held.unwrap_or_else(|| failed(what(), output)).into()
    }
}

/// Returns the error for a pod that finalizers keep after `deleted`, or `None` without finalizers.
pub(super) fn held(pod: &Pod, namespace: &str, deleted: &Output) -> Option<CommandFailure> {
    let finalizers: Vec<_> = pod.held_by()?.iter().map(Untrusted::to_string).collect();
    let finalizers = finalizers.join(", ");
    let name = &pod.metadata.name;
    let what = format!("pod {name} is not deleted: it has finalizers: {finalizers}");
    Some(failed(what, deleted.clone()).with_next_step(format!(
        "check the controller that removes these finalizers, or run kubectl --namespace \
         {namespace} patch pod {name} --type merge --patch \
         '{{\"metadata\":{{\"finalizers\":null}}}}'; then run cargo xtask clean"
    )))
}
