//! What `shm_wr` prints.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use shm_core::text::EscapedJson;
use shm_core::{Checksum, Failure};

use crate::args::Args;

#[derive(Serialize)]
struct Outcome<T> {
    ok: bool,
    #[serde(flatten)]
    result: Option<T>,
    error: Option<Failure>,
}

/// What is printed of a text that was written.
pub(crate) fn success(f: &mut fmt::Formatter<'_>, checksum: Option<&Checksum>) -> fmt::Result {
    f.write_str("shm write success")?;
    checksum.map_or(Ok(()), |checksum| write!(f, "\nchecksum {checksum}"))
}

/// Prints the result; returns whether it was a success.
pub(crate) fn report<T: Serialize + fmt::Display>(
    args: &Args,
    verb: &str,
    result: Result<T, Failure>,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<bool> {
    let ok = result.is_ok();
    match result {
        _ if args.json => {
            let (result, error) = match result {
                Ok(value) => (Some(value), None),
                Err(failure) => (None, Some(failure)),
            };
            serde_json::to_writer(EscapedJson(&mut *stdout), &Outcome { ok, result, error })?;
            writeln!(stdout)?;
        }
        Err(failure) => {
            writeln!(stderr, "{failure}")?;
            writeln!(stdout, "shm {verb} failed")?;
        }
        Ok(value) => writeln!(stdout, "{value}")?,
    }
    stdout.flush()?;
    Ok(ok)
}
