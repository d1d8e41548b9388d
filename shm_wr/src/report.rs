//! What `shm_wr` prints.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use shm_cli::outcome::print_outcome;
use shm_cli::{Checksum, Failure};
use shm_core::stat::SegmentId;
use shm_core::{IpcNamespace, Origin, Target};

use crate::args::Args;

/// The result of a write, as `--json` prints it.
#[derive(Serialize)]
pub(crate) struct Written {
    pub(crate) address: Target,
    pub(crate) shmid: Option<SegmentId>,
    pub(crate) origin: Origin,
    /// The size of the memory or the object; a frame has a capacity instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<usize>,
    pub(crate) length: u64,
    pub(crate) truncated: bool,
    /// The number of the message in a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    pub(crate) ipc_namespace: Option<IpcNamespace>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shm write success")?;
        self.checksum.as_ref().map_or(Ok(()), |checksum| write!(f, "\nchecksum {checksum}"))
    }
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
        Err(failure) => {
            failure.report(args.json, Some(&format!("shm {verb} failed")), stdout, stderr)?;
        }
        Ok(value) if args.json => print_outcome(Ok(value), stdout)?,
        Ok(value) => {
            writeln!(stdout, "{value}")?;
            stdout.flush()?;
        }
    }
    Ok(result.is_ok())
}
