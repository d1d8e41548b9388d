//! The objects that runs create: a namespace, and pods with or without a controller.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::script::{Controller, Member, Setting, Sharing, Workload};

/// The file whose first text ends a container's process. Kubernetes gives each start of a container
/// an empty file, so the next process does not see the old text.
pub(super) const END: &str = "/dev/termination-log";

/// The pod label that names the object that created the pod.
pub(super) const WORKLOAD_LABEL: &str = "shm.experiment.workload";

/// Returns the selector of the pods that an object created.
pub(super) fn workload_selector(object: &str) -> String {
    format!("{WORKLOAD_LABEL}={object}")
}

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

/// The metadata of an object. A pod template has no name.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    pub(super) labels: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
}

/// The specification of a pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(rename = "hostIPC", skip_serializing_if = "std::ops::Not::not")]
    host_ipc: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,
    dns_policy: &'static str,
    restart_policy: &'static str,
    termination_grace_period_seconds: u32,
    automount_service_account_token: bool,
    enable_service_links: bool,
    security_context: PodSecurity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    init_containers: Vec<ContainerSpec>,
    containers: Vec<ContainerSpec>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodSecurity {
    run_as_non_root: bool,
    run_as_user: u32,
    seccomp_profile: SeccompProfile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sysctls: Vec<SysctlSetting>,
}

#[derive(Debug, Serialize)]
struct SeccompProfile {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct SysctlSetting {
    name: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerSpec {
    name: String,
    image: String,
    image_pull_policy: &'static str,
    command: Vec<&'static str>,
    resources: ContainerResources,
    security_context: ContainerSecurity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volume_mounts: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct ContainerResources {
    requests: Amounts,
    limits: Amounts,
}

#[derive(Debug, Serialize)]
struct Amounts {
    cpu: &'static str,
    memory: String,
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

/// Returns a namespace object.
pub(super) fn namespace(metadata: Metadata) -> Object<()> {
    Object { api_version: "v1", kind: "Namespace", metadata, spec: None }
}

/// Returns kubectl's name for the kind of a controller, or `pod` without one.
pub(super) fn kind(controller: Controller) -> &'static str {
    match controller {
        Controller::Nobody => "pod",
        Controller::Deployment => "deployment",
        Controller::StatefulSet => "statefulset",
        Controller::JobOnFailure | Controller::JobNever => "job",
    }
}

/// Returns the object that creates a workload's pods: the pod, or a controller with a template.
pub(super) fn workload(workload: &Workload, metadata: Metadata, pod: &PodSpec) -> Object<Value> {
    let labels = &metadata.labels;
    let template = Metadata { name: None, namespace: None, ..metadata.clone() };
    let template = json!({ "metadata": template, "spec": pod });
    let selector = json!({ "matchLabels": labels });
    let replicas = workload.pods.len();
    let (api_version, kind, spec) = match workload.controller {
        Controller::Nobody => ("v1", "Pod", json!(pod)),
        Controller::Deployment => {
            let spec = json!({ "replicas": replicas, "selector": selector, "template": template });
            ("apps/v1", "Deployment", spec)
        }
        Controller::StatefulSet => {
            let spec = json!({
                "replicas": replicas, "selector": selector, "template": template,
                "serviceName": metadata.name, "podManagementPolicy": "Parallel",
            });
            ("apps/v1", "StatefulSet", spec)
        }
        Controller::JobOnFailure | Controller::JobNever => {
            ("batch/v1", "Job", json!({ "backoffLimit": 6, "template": template }))
        }
    };
    Object { api_version, kind, metadata, spec: Some(spec) }
}

/// Returns the specification of a workload's pods. They meet the Pod Security level `restricted`,
/// unless the workload shares the host's IPC namespace.
pub(super) fn pod(workload: &Workload, image: &str, node: Option<&str>) -> PodSpec {
    let members = workload.pods.first().map_or(&[][..], |pod| pod.containers);
    let specs = |init| {
        let wanted = members.iter().filter(|member| member.init == init);
        wanted.map(|member| container(member, workload.controller, image)).collect()
    };
    let sysctls = match workload.setting {
        Some(Setting::Sysctl(sysctl, value)) => {
            vec![SysctlSetting { name: sysctl.name(), value: value.to_string() }]
        }
        _ => vec![],
    };
    let on_volume = members.iter().any(|member| member.setting == Some(Setting::ShmVolume));
    let volume = json!({ "name": "shm", "emptyDir": { "medium": "Memory", "sizeLimit": "16Mi" } });
    PodSpec {
        host_ipc: workload.ipc == Sharing::Host,
        node_name: node.map(str::to_owned),
        // The tools need no DNS, and some kubelets have no cluster DNS.
        dns_policy: "Default",
        restart_policy: match workload.controller {
            Controller::JobOnFailure => "OnFailure",
            Controller::JobNever => "Never",
            _ => "Always",
        },
        termination_grace_period_seconds: 1,
        automount_service_account_token: false,
        enable_service_links: false,
        security_context: PodSecurity {
            run_as_non_root: true,
            run_as_user: 65534,
            seccomp_profile: SeccompProfile { kind: "RuntimeDefault" },
            sysctls,
        },
        init_containers: specs(true),
        containers: specs(false),
        volumes: if on_volume { vec![volume] } else { vec![] },
    }
}

/// Returns the command of a container. It exits once [`END`] has a text. The command of a job waits
/// for an object that nobody creates, and fails after 20 s.
pub(super) fn command(controller: Controller) -> Vec<&'static str> {
    if controller.is_job() {
        vec!["/bin/shm_rd", "--wait=20", "--posix", "shm_experiment_nobody"]
    } else {
        vec!["/bin/shm_rd", "--wait", "--file", END]
    }
}

fn container(member: &Member, controller: Controller, image: &str) -> ContainerSpec {
    let memory = match member.setting {
        // The cluster stores this form, and `spec_diff` compares it.
        Some(Setting::Memory(bytes)) => format!("{}Mi", bytes >> 20),
        _ => "64Mi".to_owned(),
    };
    let mount = json!({ "name": "shm", "mountPath": "/dev/shm" });
    let on_volume = member.setting == Some(Setting::ShmVolume);
    ContainerSpec {
        name: member.name.0.to_lowercase(),
        image: image.to_owned(),
        image_pull_policy: "IfNotPresent",
        command: command(controller),
        resources: ContainerResources {
            requests: Amounts { cpu: "10m", memory: "16Mi".to_owned() },
            limits: Amounts { cpu: "200m", memory },
        },
        security_context: ContainerSecurity {
            allow_privilege_escalation: false,
            read_only_root_filesystem: true,
            capabilities: Capabilities { drop: ["ALL"] },
        },
        volume_mounts: if on_volume { vec![mount] } else { vec![] },
    }
}
