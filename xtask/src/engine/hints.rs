//! Next steps for the user after an engine's error.

use crate::engine::failure::FailureKind;
use crate::engine::{EngineError, EngineKind};
use crate::process::invocation::InvocationError;

/// The next step of a user who may not use the socket of docker's daemon.
pub(crate) const NOT_PERMITTED: &str = "join the group that may use its socket (usermod -aG docker \
     $USER, then log in again), or run this as root";

/// Returns the next step if docker's client connects through ssh, and that failed.
pub(crate) fn of_ssh(message: &str) -> Option<&'static str> {
    // docker/cli cli/connhelper/commandconn: "command [ssh ... docker system dial-stdio] has exited"
    message.contains("command [ssh").then_some(
        "run the ssh command that the message names by hand until it connects without a question; \
         then run this again",
    )
}

/// Returns the next step for a message that names the program that failed below the engine.
pub(crate) fn of_message(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|it| message.contains(it));
    if has(&["newuidmap", "newgidmap"]) {
        // containers/storage pkg/unshare, podman pkg/rootless
        return Some(
            "install newuidmap and newgidmap (the package uidmap, or shadow-utils), and give this \
             user a range of ids in /etc/subuid and /etc/subgid; or run this as root",
        );
    }
    // docker 20.10 to 28.5: "Unknown runtime specified", "unknown or invalid runtime name"; podman:
    // "invalid runtime", "OCI permission denied", and conmon's "container create failed"; behind
    // both, runc and crun: "OCI runtime ..."
    let words = ["oci runtime", "oci permission", "container create failed", "invalid runtime"];
    let runtime = has(&words) || has(&["unknown runtime", "shim task"]);
    // The runtime works, and the command of an `exec` does not.
    let command = has(&["exec failed", "executable file not found"]);
    (runtime && !command).then_some(
        "remove the reason that is given above, for which the OCI runtime failed, or use another \
         runtime with --runtime NAME; `docker info` and `podman info` name the installed ones",
    )
}

/// Returns the next step after `error`, or `None` if its message has one or if there is none.
pub(crate) fn next_step(kind: EngineKind, error: &EngineError) -> Option<String> {
    let engine = match kind {
        EngineKind::Docker | EngineKind::Podman => kind.to_string(),
        EngineKind::Namespaces => "the kernel".to_owned(),
        EngineKind::Kubernetes | EngineKind::Model => return None,
    };
    let failure = match error {
        EngineError::Failed(failure) if failure.next_step.is_some() => return None,
        // Their messages have a next step ...
        EngineError::Ledger(_)
        | EngineError::Left { .. }
        | EngineError::Disturbed { .. }
        | EngineError::Diverged { .. }
        | EngineError::Unusable { .. }
        // ... or there is none: errors in the script, and errors of clusters.
        | EngineError::Script(_)
        | EngineError::PodFailed { .. } => return None,
        EngineError::Invocation(cause) => match cause {
            InvocationError::Ledger(_) | InvocationError::Interrupted { .. } => return None,
            InvocationError::TimedOut { .. } => {
                let slow = "check why the command did not finish; if it is only slow, use a larger \
                            --timeout SECONDS. The engine may still finish the command later; then \
                            run `cargo xtask clean` to remove the result";
                return Some(slow.to_owned());
            }
            InvocationError::Io { source, .. } => FailureKind::from(source),
            InvocationError::NotFound { program } => {
                return Some(format!("install {program}, or add its folder to PATH"));
            }
            InvocationError::TooMuch { .. } => FailureKind::Other,
        },
        EngineError::Failed(failure) => {
            // A lack that the message names, such as that of space, has a step of its own.
            let is_named = !matches!(failure.kind, FailureKind::Other | FailureKind::Rejected);
            let message = failure.output.stderr_tail().to_string();
            if failure.kind == FailureKind::Unreachable
                && let Some(step) = of_ssh(&message)
            {
                return Some(step.to_owned());
            }
            if let Some(step) = of_message(&message).filter(|_| !is_named) {
                return Some(step.to_owned());
            }
            failure.kind.clone()
        }
        EngineError::File { .. } => {
            let built = "build the tools again (cargo xtask dist), and check that this user may \
                         read the checkout";
            return Some(built.to_owned());
        }
        EngineError::Unexpected { answer, .. } => {
            FailureKind::quoted(&answer.to_string().to_lowercase()).unwrap_or(FailureKind::Other)
        }
        EngineError::Name(_) => FailureKind::Other,
    };
    Some(match failure {
        // unshare(2) fails with ENOSPC at the limit on the number of namespaces.
        FailureKind::NoSpace if kind == EngineKind::Namespaces => {
            "the limit on the number of namespaces is reached: check `sysctl \
             user.max_ipc_namespaces user.max_mnt_namespaces user.max_user_namespaces`"
                .to_owned()
        }
        FailureKind::NoSpace => format!(
            "free space in the folders for {engine}'s data and temporary files (`{engine} info` \
             names the data folder, `{engine} system df` shows its use)"
        ),
        FailureKind::Unreachable => format!(
            "the daemon of {engine} does not run or does not answer: check its log, start it \
             again, then run `cargo xtask clean` to remove what is left"
        ),
        FailureKind::NotPermitted if kind == EngineKind::Docker => NOT_PERMITTED.to_owned(),
        FailureKind::OutOfResources => {
            "free some of the resource that the message names, or raise its limit".to_owned()
        }
        _ => format!("run the command by hand, and check its output and the log of {engine}"),
    })
}

#[cfg(test)]
mod tests {
    use super::next_step;
    use crate::engine::docker::failure::classify;
    use crate::engine::{CommandFailure, EngineKind};
    use crate::process::invocation::Output;

    #[test]
    fn a_lack_that_the_runtime_reports_is_no_fault_of_the_runtime() {
        let step = |stderr: &str| {
            let output =
                Output { stderr: stderr.into(), exit_code: Some(126), ..Output::default() };
            let failure = CommandFailure::new("it failed", classify(&output), output);
            next_step(EngineKind::Docker, &failure.into()).unwrap()
        };
        let failed = "OCI runtime create failed: runc create failed";
        assert!(step(&format!("{failed}: no space left on device")).starts_with("free space"));
        let busy = step(&format!("{failed}: resource temporarily unavailable"));
        assert!(busy.starts_with("free some of the resource"), "{busy}");
        assert!(step(failed).contains("--runtime NAME"));
        let exec = "OCI runtime exec failed: exec: \"x\": executable file not found in $PATH";
        assert!(step(exec).starts_with("run the command by hand"), "{}", step(exec));
    }

    #[test]
    fn the_step_after_a_failed_connection_names_what_did_not_connect() {
        let step = |kind, stderr: &str| {
            let output = Output { stderr: stderr.into(), exit_code: Some(1), ..Output::default() };
            let failure = CommandFailure::new("it failed", classify(&output), output);
            next_step(kind, &failure.into()).unwrap()
        };
        let ssh = "error during connect: command [ssh host docker] has exited with status 255: \
                   stderr=host: Permission denied (publickey)";
        assert!(step(EngineKind::Docker, ssh).starts_with("run the ssh command"));
        let socket = "permission denied while trying to connect to the socket";
        assert!(step(EngineKind::Docker, socket).contains("usermod -aG docker"));
        assert!(!step(EngineKind::Podman, socket).contains("docker"));
    }
}
