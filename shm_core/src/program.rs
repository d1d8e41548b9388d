//! What the `main` functions of the tools share: signals, and the messages of a command line parser.

use std::io::{self, Write};
use std::os::fd::AsFd;

use crate::{Descriptor, sys, text};

pub use crate::sys::before_main;

/// The exit status for wrong usage.
const WRONG_USAGE: u8 = 2;

/// Sets the signals of a tool; `main` calls it first. SIGPIPE gets its default action, which the standard
/// library replaces: a closed pipe ends the program without a message, as it does every C program. It stays
/// ignored where [`before_main`] found it so. SIGXFSZ is ignored, so a write past `RLIMIT_FSIZE` is an error.
pub fn set_signals() {
    sys::restore_broken_pipe_signal();
    sys::ignore_file_size_signal();
}

/// Prints the message of a command line parser, and returns the exit status. A message that was
/// `asked_for`, as by `--help`, goes to standard output: 0, or `failed` where the output fails. An error
/// goes to standard error: 2. Characters of a quoted argument that could drive a terminal are escaped.
#[must_use]
pub fn print_parser_message(message: &str, asked_for: bool, failed: u8) -> u8 {
    let message = text::escape(message.as_bytes());
    if !asked_for {
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
