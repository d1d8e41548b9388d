//! The errors of engines.

use shm_core::Key;

use super::EngineKind;
use super::failure::{CommandFailure, escaped};
use super::kubernetes::pod::PodFailure;
use crate::process::invocation::{InvocationError, Output};
use crate::process::labels::RunId;
use crate::process::ledger::LedgerError;
use crate::process::name::InvalidName;
use crate::process::untrusted::Untrusted;

/// An error of a step or of the search for an engine. The message escapes quoted text and names.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A command could not run to completion.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// A command of the engine failed.
    #[error(transparent)]
    Failed(Box<CommandFailure>),
    /// The ledger could not be written, so the object was not created.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Cleaning up failed.
    #[error(
        "containers of run {run} may be left: {cause}\n\
         next step: run cargo xtask clean once {program} answers"
    )]
    Left {
        /// The run's id.
        run: RunId,
        /// The program that removes containers.
        program: &'static str,
        /// Why the removal failed.
        cause: Box<EngineError>,
    },
    /// Another program uses the script's key on this host.
    #[error(
        "the run was disturbed: {what}. There is no verdict on the engine.\n\
         next step: run it again with a key that no other program uses, such as --key {free}"
    )]
    Disturbed {
        /// The object that was found, and its owner.
        what: String,
        /// A free key.
        free: Key,
    },
    /// A pod will never run.
    #[error("pod {} does not run: {why}", escaped(.pod))]
    PodFailed {
        /// The name of the pod.
        pod: String,
        /// The cluster's reason.
        why: PodFailure,
    },
    /// The cluster did not do what was requested.
    #[error("{}\nnext step: {}", escaped(.what), escaped(.next_step))]
    Diverged {
        /// What the cluster did.
        what: String,
        /// What the user can do.
        next_step: String,
    },
    /// No engine of this kind can be used here.
    #[error("{kind} cannot be used: {why}\nnext step: {}", escaped(.next_step))]
    Unusable {
        /// The kind.
        kind: EngineKind,
        /// The reason.
        why: Untrusted,
        /// What the user can do.
        next_step: String,
    },
    /// The output of a command cannot be parsed or contradicts other output.
    #[error("unexpected output of `{command}`: {answer}")]
    Unexpected {
        /// The command.
        command: Untrusted,
        /// The output, or the parser's message.
        answer: Untrusted,
    },
    /// The script cannot run on the engine, or the run was interrupted.
    #[error("{}", escaped(.0))]
    Script(String),
    /// A name is not valid, so it cannot become an argument of a command.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A file of the project could not be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The path of the file.
        path: Untrusted,
        /// The error.
        source: std::io::Error,
    },
}

impl EngineError {
    /// Returns the error for the output of a command that cannot be parsed.
    pub(super) fn unexpected(output: &Output) -> Self {
        Self::Unexpected { command: output.command_line(), answer: output.stderr_tail() }
    }
}

impl From<CommandFailure> for EngineError {
    fn from(failure: CommandFailure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
