//! What an engine cannot do here, though it can elsewhere or for another user.

use crate::engine::observation::Observation;

/// What engines say then, such as podman without root on a machine with cgroups v1.
const SAID: [&str; 3] = [
    "Resource limits are not supported and ignored",
    "can not pause containers on rootless containers with cgroup V1",
    // It binds the host's for --ipc=host, and not every machine has it.
    "statfs /dev/mqueue: no such file or directory",
];

/// The line in which the engine says that it cannot do here what it was asked for.
pub(super) fn of(observed: &Observation) -> Option<String> {
    let stderr = String::from_utf8_lossy(&observed.output.stderr);
    let line = stderr.lines().find(|line| SAID.iter().any(|said| line.contains(said)))?;
    Some(format!("it cannot be done here: {}", line.trim()))
}
