//! The nodes of a cluster, and which of them can take pods.

use serde::Deserialize;

use super::Cluster;
use crate::engine::EngineError;
use crate::interrupt::Interrupt;
use crate::invocation::Invocation;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its container runtime and that one's version.
    pub runtime: String,
    /// Its kernel's release.
    pub kernel: String,
    /// Why it takes no pods now.
    pub unfit: Option<String>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    unschedulable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
    node_info: Info,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    container_runtime_version: String,
    kernel_version: String,
}

impl Cluster {
    /// The nodes that there are.
    ///
    /// # Errors
    ///
    /// Where the cluster does not tell.
    pub fn nodes(&self, interrupt: &Interrupt) -> Result<Vec<Node>, EngineError> {
        let get = ["get", "nodes", "--output", "json"].map(str::to_owned);
        let get = Invocation::new("kubectl", [&self.access[..], &get].concat());
        let transcript = get.run(interrupt)?;
        if !transcript.succeeded() {
            let what = "the nodes cannot be listed; next step: name one, --node NAME".to_owned();
            return Err(EngineError::Refused { what, transcript });
        }
        parse(&transcript.stdout).map_err(|error| EngineError::Unexpected {
            command: transcript.command_line(),
            answer: error.to_string(),
        })
    }
}

fn parse(json: &[u8]) -> serde_json::Result<Vec<Node>> {
    let list: List = serde_json::from_slice(json)?;
    let node = |Item { metadata, spec, status }: Item| {
        let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
        let unfit = match ready {
            Some(ready) if ready.status != "True" => {
                Some(format!("not ready: {}", ready.reason.as_deref().unwrap_or("no reason given")))
            }
            None => Some("not ready: it has not reported yet".to_owned()),
            Some(_) if spec.unschedulable => Some("cordoned".to_owned()),
            Some(_) => None,
        };
        Node {
            name: metadata.name,
            runtime: status.node_info.container_runtime_version,
            kernel: status.node_info.kernel_version,
            unfit,
        }
    };
    Ok(list.items.into_iter().map(node).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_node_that_is_not_ready_or_cordoned_is_unfit_and_says_why() {
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
        let list = serde_json::json!({ "items": items }).to_string();
        let unfit: Vec<_> =
            parse(list.as_bytes()).unwrap().into_iter().map(|it| it.unfit).collect();
        let expected = [None, Some("not ready: Because"), Some("cordoned")];
        assert_eq!(unfit, expected.map(|it| it.map(str::to_owned)));
    }
}
