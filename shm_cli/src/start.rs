//! The start of a tool: its command line and its signals.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use shm_core::{Descriptor, program, text};

/// The exit status for a wrong command line.
const WRONG_USAGE: u8 = 2;

/// Sets the signals of a tool and parses its command line. `main` calls this first.
///
/// # Errors
///
/// The exit status for `main`, after the message was printed: 0 for `--help` and `--version`;
/// `failed` if standard output fails; 2 for a wrong command line.
pub fn start<Args: Parser>(failed: u8) -> Result<Args, ExitCode> {
    program::set_signals();
    Args::try_parse().map_err(|error| {
        // The message may quote an argument, which can contain control characters.
        let message = text::escape(error.render().to_string().as_bytes());
        ExitCode::from(print(&message, error.use_stderr(), failed))
    })
}

/// Prints the message of the parser and returns the exit status.
fn print(message: &str, is_error: bool, failed: u8) -> u8 {
    if is_error {
        // Without standard error there is no way to report this.
        let _ = io::stderr().write_all(message.as_bytes());
        return WRONG_USAGE;
    }
    match Descriptor(io::stdout().as_fd()).write_all(message.as_bytes()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot write to standard output: {error}");
            failed
        }
    }
}
