//! Delays a command: its process waits at a gate until the ledger names it.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Write};

use duct::Expression;

use crate::process::labels::RunId;
use crate::process::ledger::{Entry, Ledger, LedgerError};
use crate::process::proc_stat::ProcStat;

/// Waits for a line on standard input, then executes the command. If this program is killed before
/// it writes that line, the shell reads the end of its input and exits.
const WAIT: &str = "read -r opened && exec \"$0\" \"$@\" </dev/null";

/// Returns a shell that waits at the gate and then executes the command.
pub(super) fn delayed(program: OsString, args: &[String]) -> Expression {
    let shell = ["-c", WAIT].map(OsString::from).into_iter();
    duct::cmd("/bin/sh", shell.chain([program]).chain(args.iter().map(OsString::from)))
}

/// The end of a pipe that opens the gate.
pub(super) struct Gate(PipeWriter);

impl Gate {
    /// Returns the command's standard input and the gate.
    pub(super) fn new() -> io::Result<(PipeReader, Self)> {
        let (reader, writer) = io::pipe()?;
        Ok((reader, Self(writer)))
    }

    pub(super) fn open(mut self) -> io::Result<()> {
        match self.0.write_all(b"\n") {
            // The process has ended; its exit status shows the cause.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            answer => answer,
        }
    }
}

/// A process that the ledger names.
#[derive(Debug)]
pub(super) struct RecordedProcess {
    ledger: Ledger,
    entry: Entry,
}

impl RecordedProcess {
    /// Records a waiting process in the ledger.
    pub(super) fn record(ledger: &Ledger, run: &RunId, pid: u32) -> Result<Self, LedgerError> {
        // A process that has already ended gets 0, which matches no process.
        let started = ProcStat::of(pid).map_or(0, |stat| stat.started);
        let entry = Entry::Process { run: run.clone(), pid, started };
        ledger.record(entry.clone())?;
        Ok(Self { ledger: ledger.clone(), entry })
    }

    /// Removes it from the ledger.
    pub(super) fn forget(&self) {
        self.ledger.forget(|entry| *entry == self.entry);
    }
}
