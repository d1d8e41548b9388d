//! Error messages for a wrong command line. They quote arguments, which can hold control characters.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use shm_core::text::escape;

use super::Cli;
use crate::process::untrusted::keep_styles;

impl Cli {
    /// Reads the command line of this process.
    ///
    /// # Errors
    ///
    /// The exit status, after the help or the error was printed.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let status = u8::try_from(error.exit_code()).unwrap_or(2);
            // A closed standard error or output changes nothing about the exit status.
            let _ = if error.use_stderr() { say(error) } else { error.print() };
            ExitCode::from(status)
        })
    }
}

fn say(mut error: clap::Error) -> std::io::Result<()> {
    // Before clap puts its styles around what was typed.
    let quoted: Vec<_> =
        error.context().map(|(kind, value)| (kind, escaped(kind, value))).collect();
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    let said = error.render().ansi().to_string();
    write!(anstream::stderr(), "{}", keep_styles(said.as_bytes()))
}

fn escaped(kind: ContextKind, value: &ContextValue) -> ContextValue {
    let text = |text: &String| escape(text.as_bytes());
    // Suggestions quote too: they lose clap's styles, which cannot be told from those of others.
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
