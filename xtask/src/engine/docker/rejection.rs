//! What an engine refuses by design, told apart from what it fails at: only the first is an answer to
//! what a script asks, and only by its words can it be known.

use crate::engine::docker::unsupported;
use crate::engine::observation::Observation;

/// What engines and their runtimes say when they refuse, in lower case, as far as it does not change
/// from one version to the next.
const SAID: [&str; 9] = [
    // Joining a container that is not to be joined, or does not run (moby
    // daemon/container_operations_unix.go, podman pkg/specgen/generate/namespaces.go) ...
    "can't join ipc of container",
    "non-shareable ipc",
    // ... or is not there, because it was refused itself ...
    "no such container",
    // ... or is in a pod; removing one that others have joined (podman libpod/runtime_ctr.go).
    "containers not in pods cannot depend on containers in pods",
    "has dependent containers which must be removed before it",
    // A name that another container has (moby daemon/names.go, containers/storage).
    "is already in use by",
    // Limits of the host's (runc libcontainer/configs/validate/validator.go, crun
    // src/libcrun/linux.c), and a size of its /dev/shm (podman pkg/specgen/container_validate.go).
    "is not allowed in the hosts ipc namespace",
    "requires a new ipc namespace",
    "cannot set shmsize when running in the",
];

/// Whether a command that failed was refused, and not simply failed at.
pub(super) fn is_one(failed: &Observation) -> bool {
    let stderr = String::from_utf8_lossy(&failed.output.stderr).to_lowercase();
    let said = SAID.iter().any(|said| stderr.contains(said));
    failed.output.exit_code.is_some() && (said || unsupported::of(failed).is_some())
}
