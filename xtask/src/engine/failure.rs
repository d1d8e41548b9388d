//! Failed commands of engines, and the kinds of failures.

use std::io;

use rustix::io::Errno;

use crate::process::invocation::Output;

/// A failed command of an engine. The message quotes the command, exit status and last output.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}\n  command: {}\n  exit status: {}\n  {}{}",
    escaped(.what), .output.command_line(), .output.status(), .output.stderr_tail(), line(.next_step.as_deref())
)]
pub struct CommandFailure {
    /// What failed.
    pub what: String,
    /// The kind of failure.
    pub kind: FailureKind,
    /// The command and its output.
    pub output: Output,
    /// What the user can do, if this failure needs another step than its kind.
    pub next_step: Option<String>,
}

impl CommandFailure {
    /// Creates a failure without a next step.
    #[must_use]
    pub fn new(what: impl Into<String>, kind: FailureKind, output: Output) -> Self {
        Self { what: what.into(), kind, output, next_step: None }
    }

    /// Returns the failure with a next step.
    #[must_use]
    pub fn with_next_step(self, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), ..self }
    }
}

/// Why a command failed, or why a pod does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The engine refuses this by design.
    Rejected,
    /// This machine, cluster or user does not support it. Holds the line of the message.
    Unsupported(String),
    /// The user may not use the engine.
    NotPermitted,
    /// The cluster does not accept the user's credentials.
    NotLoggedIn,
    /// The daemon does not answer.
    Unreachable,
    /// A file system is full, or a limit on the number of namespaces is reached.
    NoSpace,
    /// The machine has no more memory, processes or descriptors.
    OutOfResources,
    /// The node has no capacity for the pod.
    OutOfCapacity,
    /// The image cannot be pulled.
    NoImage,
    /// Anything else.
    Other,
}

/// Messages for errnos, in lower case, from `strerror(3)` and Go's package `syscall` (glibc
/// `sysdeps/gnu/errlist.h`, Go `src/syscall/zerrors_linux_amd64.go`).
const ERRNOS: [(&str, FailureKind); 5] = [
    // ENOSPC and EDQUOT
    ("no space left on device", FailureKind::NoSpace),
    ("disk quota exceeded", FailureKind::NoSpace),
    // ENOMEM, EAGAIN and EMFILE
    ("cannot allocate memory", FailureKind::OutOfResources),
    ("resource temporarily unavailable", FailureKind::OutOfResources),
    ("too many open files", FailureKind::OutOfResources),
];

impl FailureKind {
    /// Returns the kind of an errno's message in a text, which must be in lower case.
    pub(super) fn quoted(text: &str) -> Option<Self> {
        ERRNOS.into_iter().find(|(message, _)| text.contains(message)).map(|(_, kind)| kind)
    }

    /// Returns the kind of a command's failure by the messages of errnos alone.
    pub(super) fn of(output: &Output) -> Self {
        Self::quoted(&message(output).to_lowercase()).unwrap_or(Self::Other)
    }
}

impl From<&io::Error> for FailureKind {
    /// Returns the kind of a system call's error.
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace,
            Some(Errno::NOMEM | Errno::AGAIN | Errno::MFILE | Errno::NFILE) => Self::OutOfResources,
            _ => Self::Other,
        }
    }
}

/// Returns what a failed command printed on standard error, or else on standard output.
pub(super) fn message(output: &Output) -> String {
    let printed = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    String::from_utf8_lossy(printed).into_owned()
}

/// Returns a line with the next step; empty if there is none.
fn line(next_step: Option<&str>) -> String {
    next_step.map_or_else(String::new, |it| format!("\nnext step: {}", escaped(it)))
}

/// Escapes a message, which may quote text from others.
pub(super) fn escaped(message: &str) -> String {
    shm_core::text::escape(message.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::{CommandFailure, FailureKind};
    use crate::process::invocation::Output;

    fn failed(stderr: &str) -> Output {
        let command = ["docker", "run"].map(str::to_owned).to_vec();
        Output { command, stderr: stderr.into(), exit_code: Some(125), ..Output::default() }
    }

    #[test]
    fn a_next_step_is_the_last_line_and_is_escaped() {
        let failure = CommandFailure::new("it failed", FailureKind::Other, failed("why\n"));
        let message = "it failed\n  command: docker run\n  exit status: 125\n  why";
        assert_eq!(failure.to_string(), message);
        let failure = failure.with_next_step("a\u{9b}b");
        assert_eq!(failure.to_string(), format!("{message}\nnext step: a\\xc2\\x9bb"));
    }

    #[test]
    fn errnos_are_recognised_by_message_and_by_number() {
        for (errno, kind) in [
            (Errno::NOSPC, FailureKind::NoSpace),
            (Errno::DQUOT, FailureKind::NoSpace),
            (Errno::NOMEM, FailureKind::OutOfResources),
            (Errno::AGAIN, FailureKind::OutOfResources),
            (Errno::MFILE, FailureKind::OutOfResources),
            (Errno::NOENT, FailureKind::Other),
        ] {
            let error = io::Error::from(errno);
            assert_eq!(FailureKind::from(&error), kind, "{error}");
            assert_eq!(FailureKind::of(&failed(&error.to_string())), kind, "{error}");
        }
    }
}
