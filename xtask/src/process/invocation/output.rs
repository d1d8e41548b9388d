//! What a command answered.

use std::time::Duration;

use crate::process::invocation::command_line;
use crate::process::untrusted::Untrusted;

/// A command that was run, and its answer.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed on standard error.
    pub stderr: Vec<u8>,
    /// Its exit status; `None` where a signal ended it.
    pub exit_code: Option<i32>,
    /// How long it took.
    pub duration: Duration,
}

impl Output {
    /// What a command gives that succeeds and prints nothing.
    #[must_use]
    pub fn success(command: Vec<String>, duration: Duration) -> Self {
        Self { command, exit_code: Some(0), duration, ..Self::default() }
    }

    /// Whether it ended with exit status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// The command as it can be pasted into a shell, for people.
    #[must_use]
    pub fn command_line(&self) -> Untrusted {
        command_line(&self.command).into()
    }

    /// The exit status in words.
    #[must_use]
    pub fn status(&self) -> String {
        self.exit_code.map_or_else(|| "none, ended by a signal".to_owned(), |code| code.to_string())
    }

    /// What it printed, as text without white space around it.
    #[must_use]
    pub fn text(&self) -> Untrusted {
        String::from_utf8_lossy(&self.stdout).trim().into()
    }

    /// The end of what it said on standard error, or else on standard output.
    #[must_use]
    pub fn stderr_tail(&self) -> Untrusted {
        const LINES: usize = 8;
        const BYTES: usize = 2000;
        let said = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let said = said.trim_ascii();
        let said = shm_core::text::escape(&said[said.len().saturating_sub(BYTES)..]);
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return "(it said nothing)".into();
        }
        lines[lines.len().saturating_sub(LINES)..].join("\n  ").into()
    }
}
