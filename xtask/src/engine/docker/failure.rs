//! Classifies failures of docker and podman by the messages of engines and runtimes. The kind selects
//! the next step for the user. It does not decide whether a failure is a refusal (`refusal.rs`).
//!
//! Patterns are in lower case, without parts that change between versions. Comments name their
//! sources, and the versions where these differ.

use crate::engine::failure::{FailureKind, message};
use crate::process::invocation::Output;

/// One-line messages for what works only on another machine or for another user.
const UNSUPPORTED: [&str; 3] = [
    // Rootless podman on cgroups v1 only warns (pkg/specgen/generate/validate.go).
    "resource limits are not supported and ignored",
    // Rootless podman on cgroups v1 (libpod/container_internal.go, pause).
    "can not pause containers on rootless containers with cgroup v1",
    // For --ipc=host, podman bind-mounts the host's /dev/mqueue, which some machines lack.
    "statfs /dev/mqueue: no such file or directory",
];

/// Messages of docker's client for a daemon that does not answer.
const UNREACHABLE: [&str; 4] = [
    // Before a command, docker 20.10 to 28.5 (moby client/errors.go, client/request.go) ...
    "cannot connect to the docker daemon",
    "error during connect",
    // ... and during one (Go src/syscall/zerrors_linux_amd64.go, src/io/io.go).
    "connection reset",
    ": eof",
];

/// In the message of docker's client for a socket that this user may not open (moby
/// client/request.go: "permission denied while trying to connect to the Docker daemon socket").
const NOT_PERMITTED: &str = "permission denied while trying to connect";

/// Returns the kind of a command's failure. A successful command may be
/// [`FailureKind::Unsupported`] too: podman only warns about limits that it ignores.
pub(crate) fn classify(output: &Output) -> FailureKind {
    let message = message(output);
    // A client that was killed by a signal has not printed the engine's answer.
    let is_answer = output.exit_code.is_some();
    let is_unsupported = |line: &&str| has_any(&line.to_lowercase(), &UNSUPPORTED);
    if let Some(line) = message.lines().find(is_unsupported).filter(|_| is_answer) {
        return FailureKind::Unsupported(line.trim().to_owned());
    }
    let message = message.to_lowercase();
    // A client that connects through another program (ssh) quotes that program's message.
    match FailureKind::quoted(&message) {
        Some(FailureKind::NoSpace) => FailureKind::NoSpace,
        _ if message.contains(NOT_PERMITTED) => FailureKind::NotPermitted,
        _ if has_any(&message, &UNREACHABLE) => FailureKind::Unreachable,
        quoted => quoted.unwrap_or(FailureKind::Other),
    }
}

fn has_any(text: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|it| text.contains(it))
}

#[cfg(test)]
mod tests {
    use super::{FailureKind, classify};
    use crate::process::invocation::Output;

    fn failed(stderr: &str, exit_code: Option<i32>) -> Output {
        Output { stderr: stderr.into(), exit_code, ..Output::default() }
    }

    #[test]
    fn unsupported_features_are_recognised_even_if_the_command_succeeds() {
        for (line, exit_code) in [
            ("Resource limits are not supported and ignored on cgroups V1 rootless systems", 0),
            (
                "Error: can not pause containers on rootless containers with cgroup V1: this container does not \
                 have a cgroup",
                125,
            ),
            ("Error: statfs /dev/mqueue: no such file or directory", 125),
        ] {
            let output = failed(&format!("a warning\n {line}\n"), Some(exit_code));
            assert_eq!(classify(&output), FailureKind::Unsupported(line.to_owned()));
            let killed = Output { exit_code: None, ..output };
            assert_eq!(classify(&killed), FailureKind::Other, "{line}");
        }
    }

    #[test]
    fn other_failures_are_not_refusals() {
        let socket = "unix:///var/run/docker.sock";
        for (message, kind) in [
            (
                format!(
                    "Cannot connect to the Docker daemon at {socket}. Is the docker daemon running?"
                ),
                FailureKind::Unreachable,
            ),
            (
                "error during connect: Get \"http://h/v1.41/info\": EOF".to_owned(),
                FailureKind::Unreachable,
            ),
            ("Post \"http://h/exec/1/start\": EOF".to_owned(), FailureKind::Unreachable),
            (
                format!(
                    "Got permission denied while trying to connect to the Docker daemon socket at {socket}"
                ),
                FailureKind::NotPermitted,
            ),
            (
                format!("permission denied while trying to connect to the docker API at {socket}"),
                FailureKind::NotPermitted,
            ),
            (
                "error during connect: Get \"http://h/info\": command [ssh host docker] has exited with status 1: \
                 stderr=permission denied while trying to connect to the Docker daemon socket"
                    .to_owned(),
                FailureKind::NotPermitted,
            ),
            (
                "error during connect: Get \"http://h/info\": socket: too many open files".to_owned(),
                FailureKind::Unreachable,
            ),
            // Other files than the socket.
            ("Error: mkdir /run/user/1000/x: permission denied".to_owned(), FailureKind::Other),
            (
                "Error response from daemon: mkdir /var/lib/docker/tmp: permission denied".to_owned(),
                FailureKind::Other,
            ),
            (
                "error during connect: command [ssh host docker] has exited with status 255: \
                 stderr=host: Permission denied (publickey)"
                    .to_owned(),
                FailureKind::Unreachable,
            ),
            ("Error: write /a: no space left on device".to_owned(), FailureKind::NoSpace),
            (
                "fork/exec runc: resource temporarily unavailable".to_owned(),
                FailureKind::OutOfResources,
            ),
            (
                "Error response from daemon: container 1f2e is not running".to_owned(),
                FailureKind::Other,
            ),
            (String::new(), FailureKind::Other),
        ] {
            assert_eq!(classify(&failed(&message, Some(125))), kind, "{message}");
        }
    }

    #[test]
    fn standard_output_is_classified_if_standard_error_is_empty() {
        let stdout = b"No space left on device".to_vec();
        let output = Output { stdout, exit_code: Some(1), ..Output::default() };
        assert_eq!(classify(&output), FailureKind::NoSpace);
        let output = Output { stderr: b"why".to_vec(), ..output };
        assert_eq!(classify(&output), FailureKind::Other);
    }
}
