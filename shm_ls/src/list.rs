//! The listing of the objects, printed once.

use std::io::{self, Write};

use shm_cli::ToolError;
use shm_cli::outcome::print_outcome;
use shm_core::table::{Row, Table};
use shm_core::{Limits, Stat};

use crate::args::Args;
use crate::facts::{Facts, Required, segments};
use crate::owner::Owners;
use crate::page;

/// Prints the segments, the limits or everything.
///
/// # Errors
///
/// Fails if the kernel does not return the segments or the limits, whichever are printed, or the
/// output fails. With `--all-objects`, what cannot be read is printed as such.
pub fn run(args: &Args, stdout: &mut impl Write) -> Result<(), ToolError> {
    if args.json {
        let required = match args {
            Args { all_objects: true, .. } => Required::Nothing,
            Args { limits: true, .. } => Required::Limits,
            Args { id, .. } => Required::Segments(*id),
        };
        print_outcome(Ok(&Facts::read(required)?), stdout)?;
    } else if args.all_objects {
        page::print(&Facts::read(Required::Nothing)?, stdout)?;
    } else if args.limits {
        print_limits(Limits::current()?, stdout)?;
    } else {
        let owners = Owners::load();
        let row = |stat: Stat| Row::new(&stat, owners.name(stat.uid));
        write!(stdout, "{}", Table(segments(args.id)?.into_iter().map(row).collect()))?;
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
