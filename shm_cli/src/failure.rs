//! The report of a failure.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use shm_core::{Errno, Error};

use crate::Diagnosis;
use crate::diagnosis::{frames, missing_page};
use crate::outcome::print_outcome;

/// What failed, the cause, and the next step. `Display` prints a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    message: String,
    call: Option<&'static str>,
    errno: Option<i32>,
    errno_name: Option<&'static str>,
    cause: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// Creates the report of a failure that is not an [`Error`].
    pub fn new(
        message: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            cause: Some(cause.into()),
            hint: Some(hint.into()),
            ..Self::default()
        }
    }

    /// Creates the report of a SIGBUS: the kernel has no page for an access to `segment`.
    #[must_use]
    pub(crate) fn missing_page(segment: &str) -> Self {
        let Diagnosis { cause, hint } = missing_page("SIGBUS");
        Self::new(format!("a page of {segment} is not available"), cause, hint)
    }

    /// Appends the consequences of the failure to the message.
    #[must_use]
    pub fn leaving(mut self, what: &str) -> Self {
        self.message += what;
        self
    }

    /// Prints the failure: with `json` on `stdout`; otherwise on `stderr`, and `last_line` on
    /// `stdout`.
    ///
    /// # Errors
    ///
    /// The errors of the outputs.
    pub fn report(
        &self,
        json: bool,
        last_line: Option<&str>,
        stdout: &mut impl Write,
        stderr: &mut impl Write,
    ) -> io::Result<()> {
        if json {
            return print_outcome(Err::<&(), _>(self), stdout);
        }
        writeln!(stderr, "{self}")?;
        if let Some(line) = last_line {
            writeln!(stdout, "{line}")?;
        }
        stdout.flush()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (cause, hint) = Diagnosis::of(&error).map(|it| (it.cause, it.hint)).unzip();
        Self {
            message: error.to_string(),
            call: error.call(),
            errno: error.errno().map(Errno::raw),
            errno_name: error.errno().and_then(Errno::name),
            cause,
            hint,
        }
    }
}

impl From<shm_frame::Error> for Failure {
    fn from(error: shm_frame::Error) -> Self {
        match error {
            shm_frame::Error::Frame { key, error } => {
                let Diagnosis { cause, hint } = frames::diagnosis(key, &error);
                Self::new(error.to_string(), cause, hint)
            }
            shm_frame::Error::Call(error) => error.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let (Some(cause), Some(hint)) = (&self.cause, &self.hint) {
            write!(f, "\ncause: {cause}\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// Why a tool failed.
#[derive(Debug)]
pub enum ToolError {
    /// The memory or the object cannot be used, or the kernel gives no information.
    Memory(Failure),
    /// The output cannot be written.
    Output(io::Error),
}

impl ToolError {
    /// Prints the error, as [`Failure::report`] does. If that fails too, there is no way to report
    /// it.
    pub fn report(
        &self,
        json: bool,
        last_line: Option<&str>,
        stdout: &mut impl Write,
        stderr: &mut impl Write,
    ) {
        let _ = match self {
            Self::Memory(failure) => failure.report(json, last_line, stdout, stderr),
            Self::Output(error) => writeln!(stderr, "cannot write to standard output: {error}"),
        };
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self::Memory(error.into())
    }
}

impl From<shm_frame::Error> for ToolError {
    fn from(error: shm_frame::Error) -> Self {
        Self::Memory(error.into())
    }
}

impl From<io::Error> for ToolError {
    /// Unwraps an error of `shm_core`, which comes from the memory. Any other error is the
    /// output's.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Output(error),
        }
    }
}
