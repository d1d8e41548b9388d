//! What is asked of the cluster, typed: a namespace, and a pod for each container of a script.

use std::collections::BTreeMap;

use serde::Serialize;

/// The container's name in its pod.
pub(super) const CONTAINER: &str = "main";

/// The file whose first text ends the container's process. Kubernetes gives every start of a
/// container an empty one, so that the next process does not end by it too.
pub(super) const END: &str = "/dev/termination-log";

/// An object of the API.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object<S> {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spec: Option<S>,
}

/// Its name and its labels.
#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
}

/// A pod of one container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(rename = "hostIPC", skip_serializing_if = "std::ops::Not::not")]
    pub(super) host_ipc: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node_name: Option<String>,
    pub(super) restart_policy: &'static str,
    pub(super) termination_grace_period_seconds: u32,
    pub(super) automount_service_account_token: bool,
    pub(super) enable_service_links: bool,
    pub(super) security_context: PodSecurity,
    pub(super) containers: [ContainerSpec; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSecurity {
    run_as_non_root: bool,
    run_as_user: u32,
    seccomp_profile: SeccompProfile,
}

#[derive(Debug, Serialize)]
struct SeccompProfile {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerSpec {
    name: &'static str,
    image: String,
    image_pull_policy: &'static str,
    command: [&'static str; 4],
    resources: Resources,
    security_context: ContainerSecurity,
}

#[derive(Debug, Serialize)]
struct Resources {
    requests: Amounts,
    limits: Amounts,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Amounts {
    cpu: &'static str,
    memory: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerSecurity {
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    capabilities: Capabilities,
}

#[derive(Debug, Serialize)]
struct Capabilities {
    drop: [&'static str; 1],
}

/// A namespace with labels.
pub(super) fn namespace(name: &str, labels: BTreeMap<&'static str, String>) -> Object<()> {
    let metadata =
        Metadata { name: name.to_owned(), namespace: None, labels, annotations: BTreeMap::new() };
    Object { api_version: "v1", kind: "Namespace", metadata, spec: None }
}

/// What a pod needs besides its metadata.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) image: &'a str,
    pub(super) host_ipc: bool,
    pub(super) node: Option<&'a str>,
}

impl Wanted<'_> {
    /// A pod with the least that it can run with: all that the Pod Security level `restricted` asks
    /// for, but for the host's IPC namespace where that is wanted.
    pub(super) fn pod(&self, metadata: Metadata) -> Object<PodSpec> {
        let requests = Amounts { cpu: "10m", memory: "16Mi" };
        let limits = Amounts { cpu: "200m", memory: "64Mi" };
        let container = ContainerSpec {
            name: CONTAINER,
            image: self.image.to_owned(),
            image_pull_policy: "IfNotPresent",
            // It waits for a text, and ends when there is one.
            command: ["/bin/shm_rd", "--wait", "--file", END],
            resources: Resources { requests, limits },
            security_context: ContainerSecurity {
                allow_privilege_escalation: false,
                read_only_root_filesystem: true,
                capabilities: Capabilities { drop: ["ALL"] },
            },
        };
        let spec = PodSpec {
            host_ipc: self.host_ipc,
            node_name: self.node.map(str::to_owned),
            restart_policy: "Always",
            // Nothing is to be saved.
            termination_grace_period_seconds: 1,
            automount_service_account_token: false,
            enable_service_links: false,
            security_context: PodSecurity {
                run_as_non_root: true,
                run_as_user: 65534,
                seccomp_profile: SeccompProfile { kind: "RuntimeDefault" },
            },
            containers: [container],
        };
        Object { api_version: "v1", kind: "Pod", metadata, spec: Some(spec) }
    }
}
