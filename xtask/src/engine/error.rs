//! Why a step could not be carried out, or an engine not be used.

use shm_core::Key;

use super::EngineKind;
use super::failure::{CommandFailure, escaped};
use super::kubernetes::pod::PodFailure;
use crate::process::invocation::InvocationError;
use crate::process::labels::RunId;
use crate::process::ledger::LedgerError;
use crate::process::name::InvalidName;
use crate::process::untrusted::Untrusted;

/// Why a step could not be carried out, or an engine not be used. What it says is escaped: it quotes
/// engines, and names that others gave.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A command could not be run to its end.
    #[error(transparent)]
    Invocation(#[from] InvocationError),
    /// A command of the engine failed.
    #[error(transparent)]
    Failed(Box<CommandFailure>),
    /// The ledger could not be written, so the thing was not made.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Cleaning up failed.
    #[error(
        "containers of run {run} may be left: {cause}\nnext step: once {program} answers, cargo xtask clean"
    )]
    Left {
        /// The run's id.
        run: RunId,
        /// What was to remove them.
        program: &'static str,
        /// Why it did not.
        cause: Box<EngineError>,
    },
    /// Somebody else uses the script's key on this host.
    #[error(
        "the run was disturbed: {what}. There is no verdict on the engine.\n\
         next step: run it again with a key that no other program uses, such as --key {free}"
    )]
    Disturbed {
        /// What was found, and whose it is.
        what: String,
        /// Another key, which is free.
        free: Key,
    },
    /// A pod will never run.
    #[error("pod {} does not run: {why}", escaped(.pod))]
    PodFailed {
        /// Its name.
        pod: String,
        /// Why not, in the cluster's words.
        why: PodFailure,
    },
    /// The cluster did something else than it was asked for.
    #[error("{}\nnext step: {}", escaped(.what), escaped(.next_step))]
    Diverged {
        /// What it did.
        what: String,
        /// What to do.
        next_step: String,
    },
    /// No engine of this kind can be used here.
    #[error("{kind} cannot be used: {why}\nnext step: {}", escaped(.next_step))]
    Unusable {
        /// The kind.
        kind: EngineKind,
        /// Why not.
        why: Untrusted,
        /// What to do.
        next_step: String,
    },
    /// The engine answered with something that it does not say.
    #[error("{command} answered with something unexpected: {answer}")]
    Unexpected {
        /// The command.
        command: Untrusted,
        /// What came back.
        answer: Untrusted,
    },
    /// The script and the engine do not fit.
    #[error("{}", escaped(.0))]
    Script(String),
    /// A name is not valid, so it cannot become an argument of a command.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A file of the project could not be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// Which.
        path: Untrusted,
        /// Why.
        source: std::io::Error,
    },
}

impl From<CommandFailure> for EngineError {
    fn from(failure: CommandFailure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
