//! The listing of all segments, printed once.

use std::io::{self, Write};

use serde::Serialize;
use shm_cli::ToolError;
use shm_cli::outcome::print_outcome;
use shm_core::namespace::boot_id;
use shm_core::table::{self, Row, Table};
use shm_core::{IpcNamespace, Limits, Stat, Usage};

use crate::args::Args;
use crate::owner::Owners;

/// The object that `--json` prints.
#[derive(Serialize)]
struct Listing {
    boot_id: Option<String>,
    ipc_namespace: Option<IpcNamespace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<Stat>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// Prints the segments or the limits.
///
/// # Errors
///
/// Fails if the kernel does not return them or the output fails.
pub fn run(args: &Args, stdout: &mut impl Write) -> Result<(), ToolError> {
    if args.json {
        let (segments, limits, usage) = if args.limits {
            (None, Some(Limits::current()?), Some(Usage::current()?))
        } else {
            (Some(table::list()?), None, None)
        };
        let (boot_id, ipc_namespace) = (boot_id(), IpcNamespace::current().ok());
        let listing = Listing { boot_id, ipc_namespace, segments, limits, usage };
        print_outcome(Ok(&listing), stdout)?;
    } else if args.limits {
        print_limits(Limits::current()?, stdout)?;
    } else {
        let owners = Owners::load();
        let row = |stat: Stat| Row::new(&stat, owners.name(stat.uid));
        write!(stdout, "{}", Table(table::list()?.into_iter().map(row).collect()))?;
    }
    Ok(stdout.flush()?)
}

/// Prints the lines of `ipcs -m -l`.
fn print_limits(limits: Limits, stdout: &mut impl Write) -> io::Result<()> {
    let page_kib = limits.page_bytes / 1024;
    // If the product overflows, ipcs prints the largest whole number of pages.
    let total_kib = limits
        .max_total_pages
        .checked_mul(page_kib)
        .unwrap_or(u64::MAX - u64::MAX % page_kib.max(1));
    writeln!(stdout, "\n------ Shared Memory Limits --------")?;
    writeln!(stdout, "max number of segments = {}", limits.max_segments)?;
    writeln!(stdout, "max seg size (kbytes) = {}", limits.max_segment_bytes / 1024)?;
    writeln!(stdout, "max total shared memory (kbytes) = {total_kib}")?;
    writeln!(stdout, "min seg size (bytes) = {}\n", limits.min_segment_bytes)
}
