//! The actions of `shm_rd`, and its exit status.

use std::io::{BufWriter, Write};

use shm_core::Descriptor;

use crate::args::Args;
use crate::output::PIECE;
use crate::{framed, read};

/// The exit status after a failure, the same as that of a C program which returns -1.
pub const FAILED: u8 = 255;

/// Executes `args`, reports the result on `stdout` and `stderr`, and returns the exit status.
/// `terminal` says whether `stdout` is a terminal.
pub fn run(args: &Args, terminal: bool, stdout: Descriptor, mut stderr: impl Write) -> u8 {
    let mut buffered = BufWriter::with_capacity(PIECE, stdout);
    let done = if args.framed {
        framed::read(args, terminal, &mut buffered, &mut stderr)
    } else {
        read::read(args, terminal, &mut buffered, &mut stderr)
    };
    let Err(error) = done else { return 0 };
    error.report(args.json, failure_line(args), &mut buffered, &mut stderr);
    FAILED
}

/// Returns the line for standard output if nothing could be read.
#[must_use]
pub fn failure_line(args: &Args) -> Option<&'static str> {
    (!args.raw).then_some("shm read failed")
}
