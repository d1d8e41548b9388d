//! A command line out, and what came back in: the only place where processes are started.
//!
//! Each command has a process group of its own and a time limit, and the group is killed where it
//! does not keep to it: a grandchild that holds the pipes open must not hold us.
#![expect(clippy::disallowed_methods, reason = "this is the one place where they are allowed")]

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};
use std::{env, io};

use duct::{Expression, Handle};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::process::interrupt::Interrupt;
use crate::process::invocation::capture::Capture;
use crate::process::invocation::gate::{Gate, Named};
use crate::process::labels::{RUN_VARIABLE, RunId};
use crate::process::ledger::Ledger;
use crate::process::proc_stat::ProcStat;
use crate::process::untrusted::Untrusted;

mod capture;
mod error;
mod gate;
mod output;
pub(crate) mod program;

pub use error::InvocationError;
pub use output::Output;

/// How long a command may take where nothing else is said.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a wait looks for an interruption; the end of the command itself is noticed at once.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a command may take to finish after an interruption, so that it is not left half done.
const GRACE: Duration = Duration::from_millis(1500);
/// The same for one that removes what it has made.
const GRACE_FOR_CLEANING: Duration = Duration::from_secs(30);
/// How long a killed process may take to be gone.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A command to run.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: String,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
    unset: Vec<&'static str>,
    show_stderr: bool,
    discard_stdout: bool,
    cleans_up: bool,
    recorded: Option<(Ledger, RunId)>,
}

impl Invocation {
    /// A program, found in PATH, and its arguments. It has the run's time limit, unless told
    /// otherwise.
    pub fn new<A: Into<String>>(program: &str, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            stdin: Vec::new(),
            timeout: TIMEOUT,
            unset: Vec::new(),
            show_stderr: false,
            discard_stdout: false,
            cleans_up: false,
            recorded: None,
        }
    }

    /// Adds the command's process to the ledger before the command runs, because it can outlive this program.
    /// Its environment holds the run's id, and its standard input is empty.
    #[must_use]
    pub fn recorded(mut self, ledger: &Ledger, run: &RunId) -> Self {
        self.recorded = Some((ledger.clone(), run.clone()));
        self.env(RUN_VARIABLE, run.to_string())
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
        self.unset.push(name);
        self
    }

    /// Lets nobody read what the command prints, so that it can outlive us.
    #[must_use]
    pub fn discard_stdout(mut self) -> Self {
        self.discard_stdout = true;
        self
    }

    /// Sets the time after which the command is killed, where the user has not set another.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tells the command of an interruption, and gives it the time to remove what it has made.
    #[must_use]
    pub fn cleans_up(mut self) -> Self {
        self.cleans_up = true;
        self
    }

    /// Lets the command print on our standard error instead of capturing that.
    #[must_use]
    pub fn show_stderr(mut self) -> Self {
        self.show_stderr = true;
        self
    }

    /// The command as it can be pasted into a shell, for people.
    #[must_use]
    pub fn command_line(&self) -> Untrusted {
        command_line(&self.command()).into()
    }

    /// The program and its arguments.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        [std::slice::from_ref(&self.program), &self.args].concat()
    }

    fn expression(&self) -> Expression {
        let own = self.env.iter().rfind(|(name, _)| *name == "PATH").map(|(_, path)| path.into());
        let path = own.or_else(|| env::var_os("PATH")).unwrap_or_default();
        let program = program::to_start(&self.program, &path);
        let command = match &self.recorded {
            None => duct::cmd(program, &self.args),
            Some(_) => gate::behind(program, &self.args),
        };
        let mut expression = command.unchecked().before_spawn(|command| {
            command.process_group(0);
            Ok(())
        });
        // Behind a gate it reads when to start.
        expression = if self.recorded.is_some() {
            expression
        } else if self.stdin.is_empty() {
            expression.stdin_null()
        } else {
            expression.stdin_bytes(self.stdin.clone())
        };
        expression =
            self.unset.iter().fold(expression, |expression, name| expression.env_remove(name));
        self.env.iter().fold(expression, |expression, (name, value)| expression.env(name, value))
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    ///
    /// [`InvocationError`] where it has no answer. An exit status that is not 0 is an answer.
    pub fn run(&self, interrupt: &Interrupt) -> Result<Output, InvocationError> {
        if let Some(signal) = interrupt.name() {
            return Err(InvocationError::Interrupted { command: self.command_line(), signal });
        }
        let background = self.start()?;
        let limit = interrupt.limit_or(self.timeout);
        let deadline = background.started + limit;
        let mut interrupted = None;
        loop {
            match background.wait(LOOK_EVERY) {
                Ok(None) => {}
                Ok(Some(output)) => return Ok(output),
                Err(error) => {
                    background.kill()?;
                    return Err(error);
                }
            }
            let now = Instant::now();
            if interrupted.is_none()
                && let Some(signal) = interrupt.name()
            {
                if self.cleans_up {
                    background.signal(Signal::TERM)?;
                }
                let grace = if self.cleans_up { GRACE_FOR_CLEANING } else { GRACE };
                interrupted = Some((signal, now + grace));
            }
            if let Some((signal, _)) = interrupted.filter(|(_, end)| now >= *end) {
                background.kill()?;
                return Err(InvocationError::Interrupted { command: self.command_line(), signal });
            }
            if now >= deadline {
                background.kill()?;
                return Err(InvocationError::TimedOut { command: self.command_line(), limit });
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
        let fail = |source| InvocationError::Io { command: self.command_line(), source };
        let mut expression = self.expression();
        let (mut stdout, mut stderr) = (None, None);
        if self.discard_stdout {
            expression = expression.stdout_null();
        } else {
            let (writer, capture) = Capture::start().map_err(fail)?;
            (expression, stdout) = (expression.stdout_file(writer), Some(capture));
        }
        if !self.show_stderr {
            let (writer, capture) = Capture::start().map_err(fail)?;
            (expression, stderr) = (expression.stderr_file(writer), Some(capture));
        }
        let gate = match &self.recorded {
            None => None,
            Some(_) if !self.is_there() => return Err(self.not_found()),
            Some(_) => {
                let (closed, gate) = Gate::new().map_err(fail)?;
                expression = expression.stdin_file(closed);
                Some(gate)
            }
        };
        let handle = expression.start().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => self.not_found(),
            _ => fail(source),
        })?;
        let mut background =
            Background { handle, stdout, stderr, command: self.command(), started, named: None };
        if let (Some(gate), Some((ledger, run))) = (gate, &self.recorded) {
            background.named = Some(Named::record(ledger, run, background.pid())?);
            gate.open().map_err(fail)?;
        }
        Ok(background)
    }

    /// Whether there is such a program; a path is left to the kernel.
    fn is_there(&self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        self.program.contains('/') || program::find(&self.program, &path).is_some()
    }

    fn not_found(&self) -> InvocationError {
        InvocationError::NotFound { program: self.program.as_str().into() }
    }
}

/// A command that is running.
#[derive(Debug)]
pub struct Background {
    handle: Handle,
    /// What it prints, where that is kept.
    stdout: Option<Capture>,
    stderr: Option<Capture>,
    command: Vec<String>,
    started: Instant,
    /// Its entry in the ledger, where it has one.
    named: Option<Named>,
}

impl Background {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.handle.pids().first().copied().unwrap_or(0)
    }

    /// Waits until it has ended and nobody can print in its place any more, at most so long; `None`
    /// where that is not yet so.
    ///
    /// # Errors
    ///
    /// [`InvocationError::Io`] where it cannot be waited for, [`InvocationError::TooMuch`] where it
    /// does not stop printing.
    pub fn wait(&self, time: Duration) -> Result<Option<Output>, InvocationError> {
        let deadline = Instant::now() + time;
        let ended = self.handle.wait_deadline(deadline).map_err(|source| self.error(source))?;
        let stdout = self.printed(self.stdout.as_ref(), deadline)?;
        let stderr = self.printed(self.stderr.as_ref(), deadline)?;
        let (Some(ended), Some(stdout), Some(stderr)) = (ended, stdout, stderr) else {
            return Ok(None);
        };
        self.forget();
        Ok(Some(Output {
            command: self.command.clone(),
            stdout: stdout.to_vec(),
            stderr: stderr.to_vec(),
            exit_code: ended.status.code(),
            duration: self.started.elapsed(),
        }))
    }

    /// All of a stream; `None` where it is not at its end by then.
    fn printed<'a>(
        &self,
        stream: Option<&'a Capture>,
        deadline: Instant,
    ) -> Result<Option<&'a [u8]>, InvocationError> {
        let Some(stream) = stream else { return Ok(Some(&[])) };
        match stream.until(deadline).map_err(|source| self.error(source))? {
            Some(bytes) if bytes.len() as u64 > capture::MOST => {
                Err(InvocationError::TooMuch { command: command_line(&self.command).into() })
            }
            printed => Ok(printed),
        }
    }

    /// Sends a signal to it and to all that it started.
    ///
    /// # Errors
    ///
    /// [`InvocationError::Io`] where that is not possible; that it is gone is no error.
    pub fn signal(&self, signal: Signal) -> Result<(), InvocationError> {
        let ended = self.handle.try_wait().map_err(|source| self.error(source))?.is_some();
        if ended && ProcStat::of(self.pid()).is_some() {
            // Its id is another process's by now, and so may be the group's. While one that it started is
            // in the group, no process gets that id.
            return Ok(());
        }
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
        if self.handle.wait_timeout(LAST_WAIT).map_err(|source| self.error(source))?.is_some() {
            self.forget();
        }
        Ok(())
    }

    /// Takes it out of the ledger, once it has ended.
    fn forget(&self) {
        self.named.iter().for_each(Named::forget);
    }

    fn error(&self, source: io::Error) -> InvocationError {
        InvocationError::Io { command: command_line(&self.command).into(), source }
    }
}

/// A command line for a shell to read. What is shown to people is an [`Untrusted`] of it.
#[must_use]
pub fn command_line(command: &[impl AsRef<str>]) -> String {
    shell_words::join(command)
}
