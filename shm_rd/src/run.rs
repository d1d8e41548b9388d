//! What `shm_rd` is asked for, and how it ends.

use std::io::{self, BufWriter, Write};

use shm_core::{Address, Descriptor, Target, fault};

use crate::args::Args;
use crate::output::{Outcome, PIECE, ReadError, print_json};
use crate::{framed, read};

/// The status that a C program's `return -1` becomes.
pub const FAILED: u8 = 255;

/// Does what `args` ask for, reports it on `stdout`, which may be a terminal, and `stderr`, and
/// returns the exit status.
pub fn run(args: &Args, terminal: bool, stdout: Descriptor, mut stderr: impl Write) -> u8 {
    let mut buffered = BufWriter::with_capacity(PIECE, stdout);
    let done = if args.framed {
        framed::read(args, terminal, &mut buffered, &mut stderr)
    } else {
        read::read(args, terminal, &mut buffered, &mut stderr)
    };
    match done {
        Ok(()) => 0,
        Err(interruption) => {
            // With both outputs gone there is nobody left to tell.
            let _ = report(args, interruption, &mut buffered, &mut stderr);
            FAILED
        }
    }
}

/// Prepares the message for a missing page, whose access ends the process. For the start of the program.
pub fn prepare_for_fault(args: &Args) {
    let Target::Memory(Address::SysV(key)) = args.target() else { return };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let failure = ReadError::Memory(fault::failure(key));
    // Writing to memory does not fail.
    let _ = report(args, failure, &mut stdout, &mut stderr);
    fault::end_with(stdout, stderr, FAILED);
}

fn report(
    args: &Args,
    interruption: ReadError,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<()> {
    match interruption {
        ReadError::Output(error) => writeln!(stderr, "standard output failed: {error}"),
        ReadError::Memory(failure) if args.json => print_json(&Outcome::failed(failure), stdout),
        ReadError::Memory(failure) => {
            writeln!(stderr, "{failure}")?;
            if !args.raw {
                writeln!(stdout, "shm read failed")?;
            }
            stdout.flush()
        }
    }
}
