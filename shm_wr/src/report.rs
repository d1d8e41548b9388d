//! What `shm_wr` prints.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use shm_cli::outcome::print_outcome;
use shm_cli::{Checksum, Failure};

use crate::args::Args;

/// Writes the message for a text that was written.
pub(crate) fn success(f: &mut fmt::Formatter<'_>, checksum: Option<&Checksum>) -> fmt::Result {
    f.write_str("shm write success")?;
    checksum.map_or(Ok(()), |checksum| write!(f, "\nchecksum {checksum}"))
}

/// Prints the result. Returns whether it is `Ok`.
pub(crate) fn report<T: Serialize + fmt::Display>(
    args: &Args,
    verb: &str,
    result: &Result<T, Failure>,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<bool> {
    match result {
        _ if args.json => print_outcome(result.as_ref(), stdout)?,
        Err(failure) => {
            writeln!(stderr, "{failure}")?;
            writeln!(stdout, "shm {verb} failed")?;
        }
        Ok(value) => writeln!(stdout, "{value}")?,
    }
    stdout.flush()?;
    Ok(result.is_ok())
}
