//! A gate before a command: its process is there, and waits until the ledger names it.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Write};

use duct::Expression;

use crate::process::labels::RunId;
use crate::process::ledger::{Entry, Ledger, LedgerError};
use crate::process::proc_stat::ProcStat;

/// Waits for a line on standard input, then becomes the command. Where this program is killed before it has
/// written that line, the shell finds the end of its input and ends.
const WAIT: &str = "read -r opened && exec \"$0\" \"$@\" </dev/null";

/// The command behind a gate.
pub(super) fn behind(program: OsString, args: &[String]) -> Expression {
    let shell = ["-c", WAIT].map(OsString::from).into_iter();
    duct::cmd("/bin/sh", shell.chain([program]).chain(args.iter().map(OsString::from)))
}

/// What opens the gate.
pub(super) struct Gate(PipeWriter);

impl Gate {
    /// The command's standard input, and what opens the gate.
    pub(super) fn new() -> io::Result<(PipeReader, Self)> {
        let (reader, writer) = io::pipe()?;
        Ok((reader, Self(writer)))
    }

    pub(super) fn open(mut self) -> io::Result<()> {
        match self.0.write_all(b"\n") {
            // The process has ended; its status says how.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            answer => answer,
        }
    }
}

/// A process that a ledger names.
#[derive(Debug)]
pub(super) struct Named {
    ledger: Ledger,
    entry: Entry,
}

impl Named {
    /// Has the ledger name a process that waits.
    pub(super) fn record(ledger: &Ledger, run: &RunId, pid: u32) -> Result<Self, LedgerError> {
        // 0 matches no process: this one has ended already.
        let started = ProcStat::of(pid).map_or(0, |stat| stat.started);
        let entry = Entry::Process { run: run.clone(), pid, started };
        ledger.record(entry.clone())?;
        Ok(Self { ledger: ledger.clone(), entry })
    }

    /// Takes it out of the ledger again.
    pub(super) fn forget(&self) {
        self.ledger.forget(|entry| *entry == self.entry);
    }
}
