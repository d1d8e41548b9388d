//! `cargo xtask clean`: removes what killed runs left and their ledgers name, and nothing else.

use std::fmt::Display;
use std::thread;

use anyhow::{Result, bail};
use clap::Args;

use crate::commands::clean::engines::Engines;
use crate::engine::docker::ENGINE_SETTLES;
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{self, Entry, Past, StoredLedger};
use crate::process::untrusted::Untrusted;
use crate::report::output;

mod cluster;
mod engines;
mod host;
mod images;
mod processes;
mod strangers;

/// The command line of `clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Reads the ledgers of runs that have ended. Removes and prints each resource that a ledger names
/// and that carries the run's mark. Lists resources that look like ours but are in no ledger, and
/// does not remove them.
pub(crate) fn run(args: &CleanArgs, interrupt: &Interrupt) -> Result<Exit> {
    // Print at the end, so that a closed pipe does not stop the cleanup.
    let mut summary = Summary { dry_run: args.dry_run, ..Summary::default() };
    let cleaned = clean(interrupt, &mut summary);
    output::write(None, |out| summary.lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
    cleaned?;
    if !summary.failures.is_empty() {
        let next_step = summary.next_step();
        bail!("something may be left: {}{next_step}", summary.failures.join("\n"));
    }
    Ok(Exit::AsPredicted)
}

fn clean(interrupt: &Interrupt, summary: &mut Summary) -> Result<()> {
    let (mut past, mut in_use) = (Vec::new(), 0);
    for found in ledger::all()? {
        match found {
            StoredLedger::Past(it) if it.is_local() => past.push(it),
            StoredLedger::Past(it) => summary.fail(it.not_local()),
            StoredLedger::InUse(_) => in_use += 1,
            StoredLedger::Unreadable(error) => summary.fail(error),
        }
    }
    end_processes(&past, summary);
    let engines = Engines::new(interrupt);
    for it in past {
        clean_up_after(it, &engines, summary);
    }
    if in_use > 0 {
        let (ledgers, are) = if in_use == 1 { ("ledger", "is") } else { ("ledgers", "are") };
        summary.report(format_args!("host: {in_use} {ledgers} {are} in use by a run or a clean"));
    }
    strangers::report(interrupt, summary);
    if summary.lines.is_empty() && summary.failures.is_empty() {
        summary.report(
            "nothing to remove: no ledger names a leftover, and the engines that answer list none",
        );
    }
    Ok(())
}

/// Kills processes that runs left. This comes first: a client may still ask for a container.
fn end_processes(past: &[Past], summary: &mut Summary) {
    let entries = past.iter().flat_map(|it| &it.entries);
    if processes::end(entries, summary) {
        // The engine may still carry out a request of a killed client.
        thread::sleep(ENGINE_SETTLES);
    }
}

/// Removes what one ledger names. Entries that may still exist stay in the ledger.
fn clean_up_after(past: Past, engines: &Engines<'_>, summary: &mut Summary) {
    let entries = past.entries.clone();
    let failures = summary.failures.len();
    let mut left = engines.clean(&entries, past.age(), summary);
    left.extend(images::clean(&entries, engines, summary));
    left.extend(cluster::clean(&entries, engines.interrupt, summary));
    if summary.failures.len() > failures && !left.is_empty() {
        summary.ledgers.push(Untrusted::path(&past.path).to_string());
    }
    left.extend(processes::left(&entries));
    left.extend(host::clean(&entries, summary));
    if summary.dry_run {
        return;
    }
    // Keep the order of the ledger.
    let left: Vec<Entry> = entries.into_iter().filter(|entry| left.contains(entry)).collect();
    if let Err(error) = past.keep(&left) {
        summary.fail(error);
    }
}

/// The lines and the failures of a cleanup.
#[derive(Default)]
struct Summary {
    /// Whether removals are only printed.
    dry_run: bool,
    lines: Vec<String>,
    failures: Vec<String>,
    /// The ledgers that stay because their engines could not be asked.
    ledgers: Vec<String>,
}

impl Summary {
    /// Removes a resource and reports that. Returns whether it is gone; `false` in a dry run.
    fn remove<E: Display>(
        &mut self,
        place: &str,
        thing: impl Display,
        remove: impl FnOnce() -> Result<(), E>,
    ) -> bool {
        if self.dry_run {
            self.report(format_args!("{place}: would remove {thing}"));
            return false;
        }
        match remove() {
            Ok(()) => self.report(format_args!("{place}: removed {thing}")),
            Err(error) => {
                self.fail(format_args!("{place}: {thing}: {error}"));
                return false;
            }
        }
        true
    }

    /// Adds a line.
    fn report(&mut self, line: impl Display) {
        self.lines.push(line.to_string());
    }

    /// Adds a failure, unless it is a duplicate.
    fn fail(&mut self, why: impl Display) {
        let why = why.to_string();
        if !self.failures.contains(&why) {
            self.failures.push(why);
        }
    }

    /// Returns the next step as a line of its own; empty if the engines could be asked.
    fn next_step(&self) -> String {
        if self.ledgers.is_empty() {
            return String::new();
        }
        format!(
            "\nnext step: run cargo xtask clean again once the engine answers; if it is gone for \
             good, delete its ledger: {}",
            self.ledgers.join(" ")
        )
    }
}
