//! The actions of `shm_rd`, and its exit status.

use std::io::{self, BufWriter, Write};

use shm_cli::Failure;
use shm_cli::outcome::print_outcome;
use shm_core::{Address, Descriptor, Target, program};

use crate::args::Args;
use crate::output::{PIECE, ReadError};
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
    match done {
        Ok(()) => 0,
        Err(error) => {
            // If standard error fails too, there is no way to report it.
            let _ = report(args, error, &mut buffered, &mut stderr);
            FAILED
        }
    }
}

/// Prepares the report of a missing page. An access to such a page ends the process. `main` calls
/// this.
pub fn prepare_for_fault(args: &Args) {
    let Target::Memory(Address::SysV(key)) = args.address.target() else { return };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let failure = ReadError::Memory(Failure::missing_page(key));
    // Writing to memory does not fail.
    let _ = report(args, failure, &mut stdout, &mut stderr);
    program::end_on_missing_page(stdout, stderr, FAILED);
}

fn report(
    args: &Args,
    error: ReadError,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<()> {
    match error {
        ReadError::Output(error) => writeln!(stderr, "cannot write to standard output: {error}"),
        ReadError::Memory(failure) if args.json => print_outcome(Err::<&(), _>(&failure), stdout),
        ReadError::Memory(failure) => {
            writeln!(stderr, "{failure}")?;
            if !args.raw {
                writeln!(stdout, "shm read failed")?;
            }
            stdout.flush()
        }
    }
}
