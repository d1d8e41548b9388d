//! Delays a command: its process waits at a gate until the ledger names it.

use std::ffi::OsString;
use std::io::{self, PipeWriter, Write};

use duct::Expression;

use crate::process::labels::RunId;
use crate::process::ledger::Entry;
use crate::process::proc_stat::ProcStat;

/// Waits for a line on standard input, then executes the command. If this program is killed before
/// it writes that line, the shell reads the end of its input and exits.
const WAIT: &str = "read -r opened && exec \"$0\" \"$@\" </dev/null";

/// Returns a shell that waits at the gate and then executes the command.
pub(super) fn delayed(program: OsString, args: &[String]) -> Expression {
    let shell = ["-c", WAIT].map(OsString::from).into_iter();
    duct::cmd("/bin/sh", shell.chain([program]).chain(args.iter().map(OsString::from)))
}

/// Opens the gate, whose other end is the command's standard input.
pub(super) fn open(mut gate: PipeWriter) -> io::Result<()> {
    match gate.write_all(b"\n") {
        // The process has ended; its exit status shows the cause.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        answer => answer,
    }
}

/// Returns the ledger's entry of a waiting process.
pub(super) fn entry(run: &RunId, pid: u32) -> Entry {
    // A process that has already ended gets 0, which matches no process.
    let started = ProcStat::of(pid).map_or(0, |stat| stat.started);
    Entry::Process { run: run.clone(), pid, started }
}
