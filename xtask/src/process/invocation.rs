//! Runs commands. No other module of this crate starts processes.
//!
//! Each command has its own process group and a time limit. At the limit the whole group is killed,
//! because a grandchild can hold the pipes open.
#![expect(clippy::disallowed_methods, reason = "this is the one place where they are allowed")]

use std::env;
use std::ffi::OsString;
use std::io::{self, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use duct::{Expression, Handle};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::process::interrupt::Interrupt;
use crate::process::invocation::capture::Capture;
use crate::process::labels::{RUN_VARIABLE, RunId};
use crate::process::ledger::{Entry, Ledger};
use crate::process::proc_stat::ProcStat;
use crate::process::untrusted::Untrusted;

mod capture;
mod error;
mod output;
pub(crate) mod program;

pub use error::InvocationError;
pub use output::Output;

/// The default time limit of a command.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a wait checks for a signal. The end of the command itself is noticed at once.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a command may continue after a signal, so that it does not stop half-way.
const GRACE: Duration = Duration::from_millis(1500);
/// The same for a command that removes what it made.
const GRACE_FOR_CLEANING: Duration = Duration::from_secs(30);
/// How long to wait for the end of a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// Delays a recorded command: a shell waits for a line on standard input, then executes the command.
/// If this program is killed before it writes that line, the shell reads the end of its input and
/// exits.
const WAIT: &str = "read -r opened && exec \"$0\" \"$@\" </dev/null";

/// A command to run.
#[must_use = "a command that is not run does nothing"]
#[derive(Clone, Debug, Default)]
pub(crate) struct Invocation {
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
    /// Creates a command of a program, found in PATH, and its arguments. The time limit is one
    /// minute unless the user or [`timeout`](Self::timeout) sets another.
    pub(crate) fn new<A: Into<String>>(program: &str, args: impl IntoIterator<Item = A>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { program: program.to_owned(), args, timeout: TIMEOUT, ..Self::default() }
    }

    /// Records the command's process in the ledger before it runs its program, because it can
    /// outlive this program. Its environment holds the run's id, and its standard input is empty.
    pub(crate) fn recorded(mut self, ledger: &Ledger, run: &RunId) -> Self {
        self.recorded = Some((ledger.clone(), run.clone()));
        self.env(RUN_VARIABLE, run.to_string())
    }

    /// Sets a variable in the command's environment.
    pub(crate) fn env(mut self, name: &'static str, value: String) -> Self {
        self.env.push((name, value));
        self
    }

    /// Sets the standard input, which is empty by default.
    pub(crate) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    /// Removes a variable from the command's environment.
    pub(crate) fn unset(mut self, name: &'static str) -> Self {
        self.unset.push(name);
        self
    }

    /// Discards standard output, so that the command can outlive this program.
    pub(crate) fn discard_stdout(mut self) -> Self {
        self.discard_stdout = true;
        self
    }

    /// Sets the time limit that applies if the user sets none.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// After a signal, sends SIGTERM to the command and gives it time to remove what it made.
    pub(crate) fn cleans_up(mut self) -> Self {
        self.cleans_up = true;
        self
    }

    /// Lets the command print on our standard error instead of capturing its own.
    pub(crate) fn show_stderr(mut self) -> Self {
        self.show_stderr = true;
        self
    }

    /// Returns the command for display, in a form that can be pasted into a shell.
    pub(crate) fn command_line(&self) -> Untrusted {
        command_line(&self.command()).into()
    }

    /// Returns the program and its arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        [std::slice::from_ref(&self.program), &self.args].concat()
    }

    fn expression(&self) -> Expression {
        let own = self.env.iter().rfind(|(name, _)| *name == "PATH").map(|(_, path)| path.into());
        let path = own.or_else(|| env::var_os("PATH")).unwrap_or_default();
        let program = program::to_start(&self.program, &path);
        let command = if self.recorded.is_none() {
            duct::cmd(program, &self.args)
        } else {
            let shell = ["-c", WAIT].map(OsString::from).into_iter();
            let args = self.args.iter().map(OsString::from);
            duct::cmd("/bin/sh", shell.chain([program]).chain(args))
        };
        let mut expression = command.unchecked().before_spawn(|command| {
            command.process_group(0);
            Ok(())
        });
        // A recorded command gets the gate as its standard input.
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

    /// Runs the command to its end. Fails if it has no result. An exit status other than 0 is a
    /// result.
    pub(crate) fn run(&self, interrupt: &Interrupt) -> Result<Output, InvocationError> {
        if let Some(signal) = interrupt.name() {
            return Err(InvocationError::Interrupted { command: self.command_line(), signal });
        }
        let background = self.start()?;
        let limit = interrupt.limit_or(self.timeout);
        let deadline = background.started + limit;
        let mut interrupted = None;
        loop {
            match background.wait(POLL_INTERVAL) {
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

    /// Starts the command and does not wait for it. Fails if the program does not exist, cannot be
    /// started, or cannot be recorded.
    pub(crate) fn start(&self) -> Result<Background, InvocationError> {
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
            Some(_) if !self.may_exist() => return Err(self.not_found()),
            Some(_) => {
                let (closed, gate) = io::pipe().map_err(fail)?;
                expression = expression.stdin_file(closed);
                Some(gate)
            }
        };
        let handle = expression.start().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => self.not_found(),
            _ => fail(source),
        })?;
        let mut background =
            Background { handle, stdout, stderr, command: self.command(), started, recorded: None };
        if let (Some(gate), Some((ledger, run))) = (gate, &self.recorded) {
            let pid = background.pid();
            // A process that has already ended gets 0, which matches no process.
            let started = ProcStat::of(pid).map_or(0, |stat| stat.started);
            let entry = Entry::Process { run: run.clone(), pid, started };
            ledger.record(entry.clone())?;
            background.recorded = Some((ledger.clone(), entry));
            open(gate).map_err(fail)?;
        }
        Ok(background)
    }

    /// Returns whether the program is in PATH. Does not check a program that is a path.
    fn may_exist(&self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        self.program.contains('/') || program::find(&self.program, &path).is_some()
    }

    fn not_found(&self) -> InvocationError {
        InvocationError::NotFound { program: self.program.as_str().into() }
    }
}

/// Opens the gate of a recorded command.
fn open(mut gate: PipeWriter) -> io::Result<()> {
    match gate.write_all(b"\n") {
        // The process has ended; its exit status shows the cause.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        answer => answer,
    }
}

/// A command that is running.
#[derive(Debug)]
pub(crate) struct Background {
    handle: Handle,
    /// `None` if standard output is discarded.
    stdout: Option<Capture>,
    /// `None` if standard error is not captured.
    stderr: Option<Capture>,
    command: Vec<String>,
    started: Instant,
    /// Its ledger and its entry there, if any.
    recorded: Option<(Ledger, Entry)>,
}

impl Background {
    /// Returns its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.handle.pids().first().copied().unwrap_or(0)
    }

    /// Waits at most `time` until the command has ended and its output pipes are closed. Returns
    /// `None` if that has not happened yet. Fails if the command prints too much.
    pub(crate) fn wait(&self, time: Duration) -> Result<Option<Output>, InvocationError> {
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

    /// Returns all of a stream, or `None` if the stream is still open at `deadline`.
    fn printed<'a>(
        &self,
        stream: Option<&'a Capture>,
        deadline: Instant,
    ) -> Result<Option<&'a [u8]>, InvocationError> {
        let Some(stream) = stream else { return Ok(Some(&[])) };
        match stream.until(deadline).map_err(|source| self.error(source))? {
            Some(bytes) if bytes.len() as u64 > capture::MAX_BYTES => {
                Err(InvocationError::TooMuch { command: command_line(&self.command).into() })
            }
            printed => Ok(printed),
        }
    }

    /// Sends a signal to the command's process group. It is no error if the group has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), InvocationError> {
        let ended = self.handle.try_wait().map_err(|source| self.error(source))?.is_some();
        if ended && ProcStat::of(self.pid()).is_some() {
            // Another process has the id now, and may lead a new group with it. Our group is empty:
            // no process gets an id while a process group uses it.
            return Ok(());
        }
        let group = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        match group.map(|group| kill_process_group(group, signal)) {
            Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(self.error(error.into())),
            _ => Ok(()),
        }
    }

    /// Kills the process group and waits at most a second for the end of the command.
    pub(crate) fn kill(&self) -> Result<(), InvocationError> {
        self.signal(Signal::KILL)?;
        // A process that left the group may still hold the pipes. Do not wait for it.
        if self.handle.wait_timeout(KILL_TIMEOUT).map_err(|source| self.error(source))?.is_some() {
            self.forget();
        }
        Ok(())
    }

    /// Removes its ledger entry, after it has ended.
    fn forget(&self) {
        if let Some((ledger, entry)) = &self.recorded {
            ledger.forget(|it| it == entry);
        }
    }

    fn error(&self, source: io::Error) -> InvocationError {
        InvocationError::Io { command: command_line(&self.command).into(), source }
    }
}

/// Returns the command line for a shell. Convert it to [`Untrusted`] before you display it.
pub(crate) fn command_line(command: &[impl AsRef<str>]) -> String {
    shell_words::join(command)
}
