//! The user's options for a cluster, and the parts of it that runs use.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::HOST_POD;
use super::client::{failed, kubectl};
use super::manifest::{self, Metadata};
use crate::engine::EngineError;
use crate::process::interrupt::Interrupt;
use crate::process::labels::RUN_LABEL;
use crate::process::name::{CheckedName, Context, Image, Label, Subdomain};
use crate::process::untrusted::Untrusted;
use crate::script::{Container, Member, Pod, Sharing, Workload};

/// The cluster and how to use it. Without options, kubectl's defaults apply.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct Cluster {
    /// Configuration file for kubectl to use
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,

    /// Context in kubectl's configuration
    #[arg(long, value_name = "NAME")]
    pub context: Option<CheckedName<Context>>,

    /// Existing namespace for the pods [default: a new one, which is deleted afterwards]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<CheckedName<Label>>,

    /// Image that contains the tools and that the nodes have or can pull
    #[arg(long, value_name = "REF")]
    pub image: Option<CheckedName<Image>>,

    // By default the node that the scheduler selects for the first pod.
    /// Node that all pods run on
    #[arg(long, value_name = "NAME")]
    pub node: Option<CheckedName<Subdomain>>,

    /// Shell command that kills the sandbox of a pod, which kubectl cannot do; its environment has
    /// NAMESPACE, POD and NODE
    #[arg(long, value_name = "COMMAND")]
    pub kill_sandbox: Option<String>,

    /// Shell command that restarts the kubelet of NODE and then exits; while the kubelet is down,
    /// no container of that node can be started, stopped or entered
    #[arg(long, value_name = "COMMAND")]
    pub restart_kubelet: Option<String>,
}

impl Cluster {
    /// Returns the options to pass to kubectl.
    pub(in crate::engine) fn access(&self) -> Vec<String> {
        let mut access = Vec::new();
        if let Some(file) = &self.kubeconfig {
            access.extend(["--kubeconfig".to_owned(), file.clone()]);
        }
        if let Some(context) = &self.context {
            access.extend(["--context".to_owned(), context.to_string()]);
        }
        access
    }

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
