//! The result of a command.

use std::time::Duration;

use crate::process::invocation::command_line;
use crate::process::untrusted::Untrusted;

/// A command and its result.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
    /// Its exit status; `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// Its duration.
    pub duration: Duration,
}

impl Output {
    /// Returns the result of a command that succeeds and prints nothing.
    pub(crate) fn success(command: Vec<String>, duration: Duration) -> Self {
        Self { command, exit_code: Some(0), duration, ..Self::default() }
    }

    /// Returns whether the exit status is 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// Returns the command for display, in a form that can be pasted into a shell.
    pub(crate) fn command_line(&self) -> Untrusted {
        command_line(&self.command).into()
    }

    /// Returns the exit status in words.
    pub(crate) fn status(&self) -> String {
        self.exit_code.map_or_else(|| "none, ended by a signal".to_owned(), |code| code.to_string())
    }

    /// Returns the standard output as text, without white space around it.
    pub(crate) fn text(&self) -> Untrusted {
        String::from_utf8_lossy(&self.stdout).trim().into()
    }

    /// Returns the last lines of standard error, or of standard output if standard error is empty.
    pub(crate) fn stderr_tail(&self) -> Untrusted {
        const LINES: usize = 8;
        const BYTES: usize = 2000;
        let printed = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let printed = printed.trim_ascii();
        let tail = shm_core::text::escape(&printed[printed.len().saturating_sub(BYTES)..]);
        let lines: Vec<_> = tail.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return "(it printed nothing)".into();
        }
        lines[lines.len().saturating_sub(LINES)..].join("\n  ").into()
    }
}
