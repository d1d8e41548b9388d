//! What a cluster does not do here, though another one would.

use crate::engine::observation::Observation;

/// What clusters say then.
const SAID: [&str; 4] = [
    // Pod Security admission: the namespace is held to a level that forbids the node's namespaces.
    "violates PodSecurity",
    // The gate of ephemeral containers, before Kubernetes 1.23, and the resource before 1.16.
    "ephemeral containers are disabled",
    "EphemeralContainers",
    // Of nodes, by which a kubelet tells that it starts: a user of one namespace may not see them.
    "events is forbidden",
];

/// A kubelet takes limits that it does not know to be safe only where they are on its list.
fn is_unlisted(line: &str) -> bool {
    line.contains("forbidden sysctl: \"kernel.shm") && line.contains("listed")
}

/// The line in which the cluster says that it does not do here what it was asked for.
pub(super) fn of(observed: &Observation) -> Option<String> {
    let stderr = String::from_utf8_lossy(&observed.output.stderr);
    let told = |line: &&str| is_unlisted(line) || SAID.iter().any(|said| line.contains(said));
    let line = stderr.lines().find(told)?;
    Some(format!("it cannot be done here: {}", line.trim()))
}
