//! Messages for a wrong command line. They quote arguments, which can hold control characters.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use shm_core::text::escape;

use super::Cli;
use crate::process::untrusted::keep_styles;

impl Cli {
    /// Parses the command line of this process.
    ///
    /// # Errors
    ///
    /// Prints the help or the error message, and returns the exit status.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let status = u8::try_from(error.exit_code()).unwrap_or(2);
            // A closed standard output or standard error does not change the exit status.
            let _ = if error.use_stderr() { print_error(error) } else { error.print() };
            ExitCode::from(status)
        })
    }
}

fn print_error(mut error: clap::Error) -> std::io::Result<()> {
    // Escape the arguments before clap adds its styles to them.
    let quoted: Vec<_> =
        error.context().map(|(kind, value)| (kind, escaped(kind, value))).collect();
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    let rendered = error.render().ansi().to_string();
    write!(anstream::stderr(), "{}", keep_styles(rendered.as_bytes()))
}

fn escaped(kind: ContextKind, value: &ContextValue) -> ContextValue {
    let text = |text: &String| escape(text.as_bytes());
    // Suggestions quote arguments too. Drop clap's styles: an argument could contain the same ones.
    let styled = |text: &StyledStr| StyledStr::from(escape(text.to_string().as_bytes()));
    match value {
        _ if kind == ContextKind::Usage => value.clone(),
        ContextValue::String(it) => ContextValue::String(text(it)),
        ContextValue::Strings(all) => ContextValue::Strings(all.iter().map(text).collect()),
        ContextValue::StyledStr(it) => ContextValue::StyledStr(styled(it)),
        ContextValue::StyledStrs(all) => ContextValue::StyledStrs(all.iter().map(styled).collect()),
        other => other.clone(),
    }
}
