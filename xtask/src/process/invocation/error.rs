//! Errors of running a command.

use std::io;
use std::time::Duration;

use crate::process::invocation::capture;
use crate::process::ledger::LedgerError;
use crate::process::untrusted::Untrusted;

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The program does not exist.
    #[error("{program} is not installed, or not in PATH")]
    NotFound {
        /// Its name.
        program: Untrusted,
    },
    /// It cannot be started, signalled or waited for.
    #[error("cannot run `{command}`: {source}")]
    Io {
        /// The command line.
        command: Untrusted,
        /// The cause.
        source: io::Error,
    },
    /// It did not finish in time and was killed.
    #[error("`{command}` did not finish within {} s and was killed", limit.as_secs())]
    TimedOut {
        /// The command line.
        command: Untrusted,
        /// The time limit.
        limit: Duration,
    },
    /// It printed too much and was killed.
    #[error("`{command}` printed more than {} MiB and was killed", capture::MAX_BYTES >> 20)]
    TooMuch {
        /// The command line.
        command: Untrusted,
    },
    /// Its process cannot be recorded, so its program was not started.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A signal to this program cancelled the run, before or while the command ran.
    #[error("interrupted by {signal} at `{command}`")]
    Interrupted {
        /// The command line.
        command: Untrusted,
        /// The signal's name.
        signal: &'static str,
    },
}

impl InvocationError {
    /// Returns whether a signal to this program is the cause, which says nothing about the command.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }
}
