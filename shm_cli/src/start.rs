//! The start of a tool: its command line and its signals.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Parser;
use shm_core::{Descriptor, program, text};

/// The exit status for a wrong command line.
const WRONG_USAGE: u8 = 2;

/// Sets the signals of a tool and parses its command line. If there is nothing more to do, for `--help`
/// or a wrong command line, prints the message and returns the exit status: 0; `failed` if standard
/// output fails; 2 for an error. `main` calls this first.
///
/// # Errors
///
/// The exit status with which `main` returns.
pub fn start<Args: Parser>(failed: u8) -> Result<Args, ExitCode> {
    program::set_signals();
    Args::try_parse().map_err(|error| {
        let message = text::escape(error.render().to_string().as_bytes());
        ExitCode::from(print(&message, error.use_stderr(), failed))
    })
}

/// Prints the message of the parser. It may quote an argument, so characters that control a terminal are
/// escaped in it.
fn print(message: &str, is_error: bool, failed: u8) -> u8 {
    if is_error {
        // Without standard error there is no way to report this.
        let _ = io::stderr().write_all(message.as_bytes());
        return WRONG_USAGE;
    }
    match Descriptor(io::stdout().as_fd()).write_all(message.as_bytes()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "standard output failed: {error}");
            failed
        }
    }
}
