//! The selection of a cluster, and the parts of it that runs use.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::HOST_POD;
use super::client::{failed, kubectl};
use super::manifest::{self, Metadata};
use crate::engine::EngineError;
use crate::process::interrupt::Interrupt;
use crate::process::labels::RUN_LABEL;
use crate::process::name::{Image, Label, Name, Subdomain};
use crate::process::untrusted::Untrusted;
use crate::script::{Container, Member, Pod, Sharing, Workload};

/// A cluster, with the user's options for it.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// The kubectl options that select it.
    pub access: Vec<String>,
    /// An existing namespace; `None` creates one for the run.
    pub namespace: Option<Name<Label>>,
    /// The image with the tools in it.
    pub image: Option<Name<Image>>,
    /// The node of all pods; `None` uses the node that the scheduler selects for the first pod.
    pub node: Option<Name<Subdomain>>,
    /// The user's shell command that kills a pod's sandbox.
    pub kill_sandbox: Option<String>,
    /// The user's shell command that restarts the kubelet of a node.
    pub restart_kubelet: Option<String>,
}

impl Cluster {
    /// Returns the objects that a run creates, as a list for kubectl: a namespace, the pod of a
    /// container, and the observer pod.
    #[must_use]
    pub fn manifests(&self) -> Value {
        const A: &[Pod] =
            &[Pod { name: Container("a"), containers: &[Member::main(Container("a"))] }];
        let namespace = self.namespace.as_deref().unwrap_or("shm-example").to_owned();
        let labels = BTreeMap::from([(RUN_LABEL, "example".to_owned())]);
        let named = |name: &str, namespace: Option<String>| Metadata {
            name: Some(name.to_owned()),
            namespace,
            labels: labels.clone(),
            annotations: BTreeMap::new(),
        };
        let pod = |workload: Workload| {
            let spec = manifest::pod(&workload, self.image(), self.node.as_deref());
            let metadata = named(workload.pods[0].name.0, Some(namespace.clone()));
            manifest::workload(&workload, &metadata, &spec)
        };
        let made = self.namespace.is_none().then(|| manifest::namespace(&named(&namespace, None)));
        let observer = Workload { ipc: Sharing::Host, ..Workload::pod(HOST_POD) };
        let pods = [pod(Workload::pod(A)), pod(observer)];
        let items: Vec<_> = made.into_iter().chain(pods).collect();
        json!({ "apiVersion": "v1", "kind": "List", "items": items })
    }

    pub(super) fn image(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }
}

/// Returns the address of the API server that kubectl uses with these options. Fails if kubectl has
/// no cluster.
pub(crate) fn server(access: &[String], interrupt: &Interrupt) -> Result<Untrusted, EngineError> {
    let view = ["config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}"];
    let output = kubectl(access, &view).run(interrupt)?;
    if !output.succeeded() {
        let what = "cannot read the cluster's address from the kubectl configuration";
        return Err(failed(what, output).into());
    }
    Ok(output.text())
}
