//! The start of a tool: its command line and its signals.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process;

use clap::Parser;
use shm_core::{Address, Descriptor, Target, program, text};

use crate::{AddressArgs, Failure};

/// The exit status for a wrong command line.
const WRONG_USAGE: u8 = 2;

/// Sets the signals of a tool and parses its command line. `main` calls this first.
///
/// `--help`, `--version` and a wrong command line end the process after a message. The status is 0,
/// `failed` if standard output fails, or 2 for a wrong command line.
#[must_use]
pub fn start<Args: Parser>(failed: u8) -> Args {
    program::set_signals();
    Args::try_parse().unwrap_or_else(|error| {
        // The message may quote an argument, which can contain control characters.
        let message = text::escape(error.render().to_string().as_bytes());
        process::exit(print(&message, error.use_stderr(), failed).into())
    })
}

/// Prepares the report of a missing page in the segment that `address` names: an access to such a
/// page ends the process with `status`. `main` calls this. [`Failure::report`] has the meaning of
/// `json` and `last_line`.
pub fn prepare_for_fault(address: &AddressArgs, json: bool, last_line: Option<&str>, status: u8) {
    let segment = match address.target() {
        Target::Memory(Address::SysV(key)) => format!("the segment with key {key}"),
        Target::Memory(Address::Id(id)) => format!("segment {id}"),
        Target::Memory(Address::File(_)) | Target::IpcObject(_) => return,
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    // Writing to memory does not fail.
    let _ = Failure::missing_page(&segment).report(json, last_line, &mut stdout, &mut stderr);
    program::end_on_missing_page(stdout, stderr, status);
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
