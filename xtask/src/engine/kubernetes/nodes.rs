//! The nodes of a cluster, and whether they accept pods.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::client::{List, failed, kubectl, parse};
use super::pod::Condition;
use crate::engine::EngineError;
use crate::process::interrupt::Interrupt;
use crate::process::name::{CheckedName, Subdomain};
use crate::process::untrusted::Untrusted;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: CheckedName<Subdomain>,
    /// The name and version of its container runtime.
    pub runtime: Untrusted,
    /// The release of its kernel.
    pub kernel: Untrusted,
    /// Why it accepts no pods now; `None` if it does.
    pub unfit: Option<Untrusted>,
}

#[derive(Deserialize)]
struct Item {
    metadata: NodeMetadata,
    #[serde(default)]
    spec: Spec,
    status: NodeStatus,
}

#[derive(Deserialize)]
struct NodeMetadata {
    name: CheckedName<Subdomain>,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeStatus {
    #[serde(default)]
    conditions: Vec<Condition>,
    node_info: Info,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    container_runtime_version: Untrusted,
    kernel_version: Untrusted,
}

impl Cluster {
    /// Returns the nodes of the cluster.
    ///
    /// # Errors
    ///
    /// Fails if the cluster does not list its nodes.
    pub fn nodes(&self, interrupt: &Interrupt) -> Result<Vec<Node>, EngineError> {
        let list: List<Item> = self.ask(&["nodes"], interrupt)?;
        Ok(list.items.into_iter().map(Node::from).collect())
    }

    /// Returns the node with this name.
    ///
    /// # Errors
    ///
    /// Fails if there is no such node, or if the cluster does not describe it.
    pub fn named_node(&self, name: &str, interrupt: &Interrupt) -> Result<Node, EngineError> {
        self.ask::<Item>(&["node", name], interrupt).map(Node::from)
    }

    fn ask<T: DeserializeOwned>(
        &self,
        what: &[&str],
        interrupt: &Interrupt,
    ) -> Result<T, EngineError> {
        let get = [&["get", "--output", "json"], what].concat();
        let output = kubectl(&self.access(), &get).run(interrupt)?;
        if !output.succeeded() {
            let failure = failed("cannot read the cluster's nodes", output);
            return Err(failure.with_next_step("run kubectl get nodes").into());
        }
        parse(&output)
    }
}

impl From<Item> for Node {
    fn from(Item { metadata, spec, status }: Item) -> Self {
        let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
        let unfit = match ready {
            Some(ready) if ready.status != "True" => {
                let reason = ready.reason.clone().unwrap_or_else(|| "no reason given".into());
                Some(format!("not ready: {reason}").into())
            }
            None => Some("not ready: it has not reported yet".into()),
            Some(_) if spec.unschedulable => Some("cordoned".into()),
            Some(_) => None,
        };
        let Info { container_runtime_version: runtime, kernel_version: kernel } = status.node_info;
        Self { name: metadata.name, runtime, kernel, unfit }
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Node, Untrusted};

    #[test]
    fn a_node_is_unfit_if_it_is_not_ready_or_cordoned() {
        let node = |name: &str, ready: &str, cordoned: bool| {
            serde_json::json!({
                "metadata": { "name": name },
                "spec": { "unschedulable": cordoned },
                "status": {
                    "conditions": [{ "type": "Ready", "status": ready, "reason": "Because" }],
                    "nodeInfo": { "containerRuntimeVersion": "r://1", "kernelVersion": "6.18" }
                }
            })
        };
        let items =
            [node("a", "True", false), node("b", "Unknown", false), node("c", "True", true)];
        let unfit = items.map(|it| Node::from(serde_json::from_value::<Item>(it).unwrap()).unfit);
        let expected = [None, Some("not ready: Because"), Some("cordoned")];
        assert_eq!(unfit, expected.map(|it| it.map(Untrusted::from)));
    }
}
