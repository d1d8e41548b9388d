//! Classifies failures on a cluster by the messages of its API server, kubectl and kubelets.

use crate::engine::failure::{FailureKind, message};
use crate::process::invocation::Output;
use crate::process::untrusted::Untrusted;

/// One-line messages for what other clusters support. All strings of an entry must match.
const UNSUPPORTED: [&[&str]; 5] = [
    // Pod Security admission: the namespace's level forbids host namespaces (Kubernetes
    // staging/src/k8s.io/pod-security-admission/admission/admission.go).
    &["violates PodSecurity"],
    // Ephemeral containers: a feature gate before Kubernetes 1.23, and missing before 1.16 (kubectl
    // pkg/cmd/debug/debug.go).
    &["ephemeral containers are disabled"],
    &["EphemeralContainers"],
    // A kubelet's start is an event in another namespace, which some users may not read.
    &["events is forbidden"],
    // A kubelet refuses a sysctl that is neither safe nor on its list: "not whitelisted", since
    // 1.21 "not allowlisted" (Kubernetes pkg/kubelet/sysctl/allowlist.go).
    &["forbidden sysctl: \"kernel.shm", "listed"],
];

/// Messages of kubectl for a missing or expired token (apimachinery `pkg/api/errors/errors.go`).
const NOT_LOGGED_IN: [&str; 2] = ["Unauthorized", "provide credentials"];

/// The kubelet's reason for refused sysctls (Kubernetes `pkg/kubelet/sysctl/allowlist.go`).
const SYSCTL_FORBIDDEN: &str = "SysctlForbidden";

/// The prefix of the reason for a node without capacity: `OutOfcpu`, `OutOfmemory`, `OutOfpods`
/// (Kubernetes `pkg/kubelet/lifecycle/predicate.go`).
const OUT_OF: &str = "OutOf";

/// Waiting reasons about the image (Kubernetes `pkg/kubelet/images/types.go`).
const NO_IMAGE: [&str; 4] =
    ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"];

/// Other waiting reasons that are final (Kubernetes
/// `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `pkg/kubelet/container/sync_result.go`).
const NEVER_RUNS: [&str; 4] =
    ["CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"];

/// Returns the kind of a message. Ignores the exit status: a kubelet may refuse a created pod.
pub(in crate::engine) fn classify(output: &Output) -> FailureKind {
    let message = message(output);
    let is_unsupported = |line: &&str| {
        UNSUPPORTED.iter().any(|patterns| patterns.iter().all(|it| line.contains(it)))
    };
    if let Some(line) = message.lines().find(is_unsupported) {
        FailureKind::Unsupported(line.trim().to_owned())
    } else if NOT_LOGGED_IN.iter().any(|it| message.contains(it)) {
        FailureKind::NotLoggedIn
    } else {
        FailureKind::Other
    }
}

/// Returns why a pod with this reason never runs, or `None` where it may run later.
pub(super) fn classify_reason(reason: &Untrusted) -> Option<FailureKind> {
    let is_one_of = |reasons: &[&str]| reasons.iter().any(|it| reason == it);
    if *reason == SYSCTL_FORBIDDEN {
        Some(FailureKind::Rejected)
    } else if reason.starts_with(OUT_OF) {
        Some(FailureKind::OutOfCapacity)
    } else if is_one_of(&NO_IMAGE) {
        Some(FailureKind::NoImage)
    } else {
        is_one_of(&NEVER_RUNS).then_some(FailureKind::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::{FailureKind, classify, classify_reason};
    use crate::process::invocation::Output;

    fn said(stderr: &str) -> FailureKind {
        classify(&Output { stderr: stderr.into(), exit_code: Some(1), ..Output::default() })
    }

    #[test]
    fn features_that_this_cluster_lacks_are_recognised() {
        for line in [
            "Error from server (Forbidden): error when creating \"STDIN\": pods \"a\" is forbidden: violates \
             PodSecurity \"baseline:latest\": host namespaces (hostIPC=true)",
            "error: ephemeral containers are disabled for this cluster (error from server: \"the server could not \
             find the requested resource\").",
            "error: no kind \"EphemeralContainers\" is registered for version \"v1\"",
            "Error from server (Forbidden): events is forbidden: User \"a\" cannot list resource \"events\"",
            "SysctlForbidden: forbidden sysctl: \"kernel.shmmax\" not whitelisted",
            "SysctlForbidden: forbidden sysctl: \"kernel.shmmax\" not allowlisted",
        ] {
            let kind = FailureKind::Unsupported(line.to_owned());
            assert_eq!(said(&format!("a warning\n{line}\n")), kind);
        }
        let other = "SysctlForbidden: forbidden sysctl: \"fs.mqueue.msg_max\" not allowlisted";
        assert_eq!(said(other), FailureKind::Other);
    }

    #[test]
    fn a_missing_login_is_recognised() {
        for message in [
            "error: You must be logged in to the server (Unauthorized)",
            "error: You must be logged in to the server (the server has asked for the client to provide credentials)",
        ] {
            assert_eq!(said(message), FailureKind::NotLoggedIn, "{message}");
        }
        let refused = "The connection to the server localhost:8080 was refused";
        assert_eq!(said(refused), FailureKind::Other);
    }

    #[test]
    fn the_reasons_of_pods_have_kinds() {
        for (reason, kind) in [
            ("SysctlForbidden", Some(FailureKind::Rejected)),
            ("OutOfmemory", Some(FailureKind::OutOfCapacity)),
            ("OutOfpods", Some(FailureKind::OutOfCapacity)),
            ("ErrImageNeverPull", Some(FailureKind::NoImage)),
            ("ImagePullBackOff", Some(FailureKind::NoImage)),
            ("CrashLoopBackOff", Some(FailureKind::Other)),
            ("ContainerCreating", None),
            ("PodInitializing", None),
        ] {
            assert_eq!(classify_reason(&reason.into()), kind, "{reason}");
        }
    }
}
