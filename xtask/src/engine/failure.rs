//! A command of an engine that failed, and the kind of its failure.

use std::io;

use rustix::io::Errno;

use crate::process::invocation::Output;

/// A failed command of an engine. The message quotes the command, its exit status and the end of its output.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}\n  command: {}\n  exit status: {}\n  {}{}",
    escaped(.what), .output.command_line(), .output.status(), .output.stderr_tail(), line(.next_step.as_deref())
)]
pub struct CommandFailure {
    /// What was being done.
    pub what: String,
    /// Why it failed, as far as is known.
    pub kind: FailureKind,
    /// The command and its answer.
    pub output: Output,
    /// What the user can do, where this failure has a step of its own.
    pub next_step: Option<String>,
}

impl CommandFailure {
    /// A failure without a next step of its own.
    #[must_use]
    pub fn new(what: impl Into<String>, kind: FailureKind, output: Output) -> Self {
        Self { what: what.into(), kind, output, next_step: None }
    }

    /// The same with a next step.
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
    /// This machine, this cluster or this user cannot do it, though others can. Has the line that says so.
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

/// The kernel's errors that any program may pass on, as `strerror(3)` and Go's package `syscall` write them, in lower
/// case (glibc `sysdeps/gnu/errlist.h`, Go `src/syscall/zerrors_linux_amd64.go`).
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
    /// The kind of the first of the kernel's errors that a text in lower case quotes.
    pub(super) fn quoted(text: &str) -> Option<Self> {
        ERRNOS.into_iter().find(|(words, _)| text.contains(words)).map(|(_, kind)| kind)
    }

    /// The kind of a command's failure by the kernel's errors alone.
    pub(super) fn of(output: &Output) -> Self {
        Self::quoted(&message(output).to_lowercase()).unwrap_or(Self::Other)
    }
}

impl From<&io::Error> for FailureKind {
    /// The kind of an error of a system call.
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace,
            Some(Errno::NOMEM | Errno::AGAIN | Errno::MFILE | Errno::NFILE) => Self::OutOfResources,
            _ => Self::Other,
        }
    }
}

/// What a command says of its failure: what it printed on standard error, or else on standard output.
pub(super) fn message(output: &Output) -> String {
    let printed = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    String::from_utf8_lossy(printed).into_owned()
}

/// A next step in a line of its own; empty where there is none.
fn line(next_step: Option<&str>) -> String {
    next_step.map_or_else(String::new, |it| format!("\nnext step: {}", escaped(it)))
}

/// A message of ours that may quote others.
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
    fn the_kernels_errors_are_known_by_words_and_by_number() {
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
