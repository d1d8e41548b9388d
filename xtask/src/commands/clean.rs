//! `cargo xtask clean`: removes what killed runs have left, by their ledgers, and only that.

use std::thread;

use anyhow::{Result, bail};
use clap::Args;

use crate::commands::clean::engines::Engines;
use crate::commands::clean::summary::Summary;
use crate::engine::docker::ENGINE_SETTLES;
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{self, Entry, Found, Past};
use crate::report::output;

mod cluster;
mod engines;
mod host;
mod images;
mod processes;
mod strangers;
mod summary;

/// The command line of `clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Reads the ledgers of runs that have ended, removes the things that they name and that carry the run's id,
/// and prints each. Lists and leaves things that look like ours and are in no ledger.
///
/// # Errors
///
/// Where something that should go could not be removed.
pub fn run(args: &CleanArgs, interrupt: &Interrupt) -> Result<Exit> {
    // Told at the end, so that a reader who closes the pipe does not keep us from cleaning.
    let mut summary = Summary::new(args.dry_run);
    let cleaned = clean(interrupt, &mut summary);
    output::write(None, |out| summary.lines().iter().try_for_each(|line| writeln!(out, "{line}")))?;
    cleaned?;
    if !summary.failures().is_empty() {
        bail!("something may be left: {}", summary.failures().join("\n"));
    }
    Ok(Exit::AsPredicted)
}

fn clean(interrupt: &Interrupt, summary: &mut Summary) -> Result<()> {
    let (mut past, mut in_use) = (Vec::new(), 0);
    for found in ledger::all()? {
        match found {
            Found::Past(it) if it.is_of_here() => past.push(it),
            Found::Past(it) => summary.fail(it.elsewhere()),
            Found::InUse(_) => in_use += 1,
            Found::Unreadable(error) => summary.fail(error),
        }
    }
    end_processes(&past, summary);
    let engines = Engines::new(interrupt);
    for it in past {
        clean_up_after(it, &engines, summary);
    }
    if in_use > 0 {
        let (ledgers, are) = if in_use == 1 { ("ledger", "is") } else { ("ledgers", "are") };
        summary
            .tell(format_args!("host: {in_use} {ledgers} {are} in use, by a run or another clean"));
    }
    strangers::tell(interrupt, summary);
    if summary.lines().is_empty() && summary.failures().is_empty() {
        summary.tell(
            "no ledger names anything that is left, and the engines that answer list nothing",
        );
    }
    Ok(())
}

/// Ends what runs have left running, before anything else: a client may be asking an engine for a container.
fn end_processes(past: &[Past], summary: &mut Summary) {
    let entries = past.iter().flat_map(Past::entries);
    if processes::end(entries, summary) {
        // The engine may go on with what a client asked for that is gone.
        thread::sleep(ENGINE_SETTLES);
    }
}

/// Removes what one ledger names; what may still be there stays in it.
fn clean_up_after(past: Past, engines: &Engines<'_>, summary: &mut Summary) {
    let entries = past.entries().to_vec();
    let mut left = processes::left(&entries);
    left.extend(engines.clean(&entries, past.age(), summary));
    left.extend(images::clean(&entries, engines, summary));
    left.extend(cluster::clean(&entries, engines.interrupt, summary));
    left.extend(host::clean(&entries, summary));
    if summary.is_dry_run() {
        return;
    }
    // In the order of the ledger.
    let left: Vec<Entry> = entries.into_iter().filter(|entry| left.contains(entry)).collect();
    if let Err(error) = past.keep(&left) {
        summary.fail(error);
    }
}
