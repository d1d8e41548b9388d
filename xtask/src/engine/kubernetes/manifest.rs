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

/// Returns a namespace object.
pub(super) fn namespace(metadata: &Metadata) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata })
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
pub(super) fn workload(workload: &Workload, metadata: &Metadata, pod: &Value) -> Value {
    let template = Metadata { name: None, namespace: None, ..metadata.clone() };
    let template = json!({ "metadata": template, "spec": pod });
    let selector = json!({ "matchLabels": metadata.labels });
    let replicas = workload.pods.len();
    let (api_version, kind, spec) = match workload.controller {
        Controller::Nobody => ("v1", "Pod", pod.clone()),
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
    json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec })
}

/// Returns the specification of a workload's pods. They meet the Pod Security level `restricted`,
/// unless the workload shares the host's IPC namespace.
pub(super) fn pod(workload: &Workload, image: &str, node: Option<&str>) -> Value {
    let members = workload.pods.first().map_or(&[][..], |pod| pod.containers);
    let specs = |init| -> Vec<Value> {
        let wanted = members.iter().filter(|member| member.init == init);
        wanted.map(|member| container(member, workload.controller, image)).collect()
    };
    let restart_policy = match workload.controller {
        Controller::JobOnFailure => "OnFailure",
        Controller::JobNever => "Never",
        _ => "Always",
    };
    let mut spec = json!({
        // The tools need no DNS, and some kubelets have no cluster DNS.
        "dnsPolicy": "Default",
        "restartPolicy": restart_policy,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65534,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": specs(false),
    });
    if workload.ipc == Sharing::Host {
        spec["hostIPC"] = true.into();
    }
    if let Some(node) = node {
        spec["nodeName"] = node.into();
    }
    if let Some(Setting::Sysctl(sysctl, value)) = workload.setting {
        spec["securityContext"]["sysctls"] =
            json!([{ "name": sysctl.name(), "value": value.to_string() }]);
    }
    if members.iter().any(|member| member.init) {
        spec["initContainers"] = specs(true).into();
    }
    if members.iter().any(|member| member.setting == Some(Setting::ShmVolume)) {
        let folder = json!({ "medium": "Memory", "sizeLimit": "16Mi" });
        spec["volumes"] = json!([{ "name": "shm", "emptyDir": folder }]);
    }
    spec
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

fn container(member: &Member, controller: Controller, image: &str) -> Value {
    let memory = match member.setting {
        // The cluster stores this form, and `spec_diff` compares it.
        Some(Setting::Memory(bytes)) => format!("{}Mi", bytes >> 20),
        _ => "64Mi".to_owned(),
    };
    let mut spec = json!({
        "name": member.name.0.to_lowercase(),
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command(controller),
        "resources": {
            "requests": { "cpu": "10m", "memory": "16Mi" },
            "limits": { "cpu": "200m", "memory": memory },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
    });
    if member.setting == Some(Setting::ShmVolume) {
        spec["volumeMounts"] = json!([{ "name": "shm", "mountPath": "/dev/shm" }]);
    }
    spec
}
