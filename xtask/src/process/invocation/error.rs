//! Why a command has no answer.

use std::io;
use std::time::Duration;

use crate::process::invocation::capture;
use crate::process::ledger::LedgerError;
use crate::process::untrusted::Untrusted;

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// There is no such program.
    #[error("{program} is not installed, or not in PATH")]
    NotFound {
        /// Its name.
        program: Untrusted,
    },
    /// It could not be started, or not be waited for.
    #[error("`{command}` could not be run: {source}")]
    Io {
        /// The command line.
        command: Untrusted,
        /// Why.
        source: io::Error,
    },
    /// It did not finish in time and was killed.
    #[error("`{command}` did not finish within {} s and was killed", limit.as_secs())]
    TimedOut {
        /// The command line.
        command: Untrusted,
        /// The time that it had.
        limit: Duration,
    },
    /// It did not stop printing and was killed.
    #[error("`{command}` printed more than {} MiB and was killed", capture::MOST >> 20)]
    TooMuch {
        /// The command line.
        command: Untrusted,
    },
    /// Its process could not be written down, so it was not started.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A signal asked this program to end, while the command ran or before it was started.
    #[error("interrupted by {signal} at `{command}`")]
    Interrupted {
        /// The command line.
        command: Untrusted,
        /// The signal's name.
        signal: &'static str,
    },
}

impl InvocationError {
    /// Whether it is a signal to this program, and says nothing about the command.
    #[must_use]
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted { .. })
    }
}
