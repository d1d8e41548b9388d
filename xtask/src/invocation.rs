//! A command line out, and what came back in: the only place where processes are started.
//!
//! Each command has a process group of its own and a time limit, and the group is killed where it
//! does not keep to it: a grandchild that holds the pipes open must not hold us.
#![expect(clippy::disallowed_methods, reason = "this is the one place where they are allowed")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::{Duration, Instant};

use duct::{Expression, Handle};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt::Interrupt;

/// How often a wait looks for an interruption; the end of the command itself is noticed at once.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a command may take to finish after an interruption, so that it is not left half done.
const GRACE: Duration = Duration::from_millis(1500);
/// How long a killed group may take to let go of the pipes.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: String,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
    unset: Option<&'static str>,
    show_stderr: bool,
    discard_stdout: bool,
}

/// A command that was run, and its answer.
#[derive(Clone, Debug)]
pub struct Transcript {
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

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// There is no such program.
    #[error("{program} is not installed, or not in PATH")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// It could not be started, or not be waited for.
    #[error("`{command}` could not be run: {source}")]
    Io {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It did not finish in time and was killed.
    #[error("`{command}` did not finish within {} s and was killed", limit.as_secs())]
    TimedOut {
        /// The command line.
        command: String,
        /// The time that it had.
        limit: Duration,
    },
    /// A signal asked this program to end.
    #[error("interrupted by {signal} during `{command}`")]
    Interrupted {
        /// The command line.
        command: String,
        /// The signal's name.
        signal: &'static str,
    },
}

impl Invocation {
    /// A program, found in PATH, and its arguments. It has a minute, unless told otherwise.
    pub fn new<A: Into<String>>(program: &str, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: Vec::new(),
            timeout: Duration::from_mins(1),
            unset: None,
            show_stderr: false,
            discard_stdout: false,
        }
    }

    /// Sets a variable in the command's environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: String) -> Self {
        self.env.push((name, value));
        self
    }

    /// What it reads from standard input; else that is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    /// Takes a variable out of the command's environment.
    #[must_use]
    pub fn unset(mut self, name: &'static str) -> Self {
        self.unset = Some(name);
        self
    }

    /// Lets nobody read what the command prints, so that it can outlive us.
    #[must_use]
    pub fn discard_stdout(mut self) -> Self {
        self.discard_stdout = true;
        self
    }

    /// Sets the time after which the command is killed.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets the command print on our standard error instead of capturing that.
    #[must_use]
    pub fn show_stderr(mut self) -> Self {
        self.show_stderr = true;
        self
    }

    /// The command as it can be pasted into a shell.
    #[must_use]
    pub fn command_line(&self) -> String {
        command_line(&self.command())
    }

    /// The program and its arguments.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        [std::slice::from_ref(&self.program), &self.args].concat()
    }

    fn expression(&self) -> Expression {
        // A program's name goes in as &str: duct makes a Path without a slash into "./program".
        let mut expression =
            duct::cmd(self.program.as_str(), &self.args).unchecked().before_spawn(|command| {
                command.process_group(0);
                Ok(())
            });
        expression = if self.stdin.is_empty() {
            expression.stdin_null()
        } else {
            expression.stdin_bytes(self.stdin.clone())
        };
        expression = if self.discard_stdout {
            expression.stdout_null()
        } else {
            expression.stdout_capture()
        };
        if let Some(name) = self.unset {
            expression = expression.env_remove(name);
        }
        if !self.show_stderr {
            expression = expression.stderr_capture();
        }
        self.env.iter().fold(expression, |expression, (name, value)| expression.env(name, value))
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    ///
    /// [`InvocationError`] where it has no answer. An exit status that is not 0 is an answer.
    pub fn run(&self, interrupt: &Interrupt) -> Result<Transcript, InvocationError> {
        let background = self.start()?;
        let deadline = background.started + self.timeout;
        let mut interrupted = None;
        loop {
            if let Some(output) = background.wait(LOOK_EVERY)? {
                return Ok(background.transcript(output));
            }
            let now = Instant::now();
            if interrupted.is_none() {
                interrupted = interrupt.name().map(|signal| (signal, now + GRACE));
            }
            if let Some((signal, _)) = interrupted.filter(|(_, end)| now >= *end) {
                background.kill()?;
                return Err(InvocationError::Interrupted { command: self.command_line(), signal });
            }
            if now >= deadline {
                background.kill()?;
                return Err(InvocationError::TimedOut {
                    command: self.command_line(),
                    limit: self.timeout,
                });
            }
        }
    }

    /// Starts the command and leaves it running.
    ///
    /// # Errors
    ///
    /// [`InvocationError::NotFound`] or [`InvocationError::Io`].
    pub fn start(&self) -> Result<Background, InvocationError> {
        let started = Instant::now();
        let handle = self.expression().start().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => InvocationError::NotFound { program: self.program.clone() },
            _ => InvocationError::Io { command: self.command_line(), source },
        })?;
        Ok(Background { handle, command: self.command(), started })
    }
}

/// A command that is running.
#[derive(Debug)]
pub struct Background {
    handle: Handle,
    command: Vec<String>,
    started: Instant,
}

impl Background {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.handle.pids().first().copied().unwrap_or(0)
    }

    /// Waits for its end, at most so long; `None` where it still runs.
    ///
    /// # Errors
    ///
    /// [`InvocationError::Io`] where it cannot be waited for.
    pub fn wait(&self, time: Duration) -> Result<Option<&Output>, InvocationError> {
        self.handle.wait_timeout(time).map_err(|source| self.error(source))
    }

    /// Sends a signal to it and to all that it started.
    ///
    /// # Errors
    ///
    /// [`InvocationError::Io`] where that is not possible; that it is gone is no error.
    pub fn signal(&self, signal: Signal) -> Result<(), InvocationError> {
        let group = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        match group.map(|group| kill_process_group(group, signal)) {
            Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(self.error(error.into())),
            _ => Ok(()),
        }
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`InvocationError::Io`] where that is not possible.
    pub fn kill(&self) -> Result<(), InvocationError> {
        self.signal(Signal::KILL)?;
        // A process that left the group may still hold the pipes; it is not waited for.
        self.wait(LAST_WAIT).map(drop)
    }

    /// What it answered.
    #[must_use]
    pub fn transcript(&self, output: &Output) -> Transcript {
        Transcript {
            command: self.command.clone(),
            stdout: output.stdout.clone(),
            stderr: output.stderr.clone(),
            exit_code: output.status.code(),
            duration: self.started.elapsed(),
        }
    }

    fn error(&self, source: io::Error) -> InvocationError {
        InvocationError::Io { command: command_line(&self.command), source }
    }
}

impl Transcript {
    /// Whether it ended with exit status 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// The command as it can be pasted into a shell.
    #[must_use]
    pub fn command_line(&self) -> String {
        command_line(&self.command)
    }

    /// The exit status in words.
    #[must_use]
    pub fn status(&self) -> String {
        self.exit_code.map_or_else(|| "none, ended by a signal".to_owned(), |code| code.to_string())
    }

    /// What it printed, as text without white space around it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The end of what it said on standard error, or else on standard output.
    #[must_use]
    pub fn last_words(&self) -> String {
        const LINES: usize = 8;
        let said = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        let said = shm_core::text::escape(said.trim_ascii());
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n  ")
    }
}

/// A command line that can be pasted into a shell.
#[must_use]
pub fn command_line(command: &[impl AsRef<str>]) -> String {
    shell_words::join(command)
}
