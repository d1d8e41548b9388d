//! `cargo xtask clean`: removes what killed runs have left, and only that.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use self::account::Account;
use self::engines::Cleaner;
use crate::cli::CleanArgs;
use crate::engine::docker::ENGINE_SETTLES;
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError};
use crate::report::output;

mod account;
mod cluster;
mod engines;
mod processes;
mod volumes;

/// How long an engine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at every engine that answers and at the processes, removes what belongs to runs that
/// are gone, and says so on standard output.
///
/// # Errors
///
/// Where something that should go could not be removed.
pub fn run(args: &CleanArgs, interrupt: &Interrupt) -> Result<Exit> {
    // Told at the end, so that a reader who closes the pipe does not keep us from cleaning.
    let mut account = Account::new(args.dry_run);
    let cleaned = clean(interrupt, &mut account);
    output::write(None, |out| account.told().iter().try_for_each(|line| writeln!(out, "{line}")))?;
    cleaned.map(|()| Exit::AsPredicted)
}

fn clean(interrupt: &Interrupt, account: &mut Account) -> Result<()> {
    let mut cleaners = Vec::new();
    let mut silent = Vec::new();
    for program in ["docker", "podman"] {
        let cleaner = Cleaner { program, interrupt };
        match Invocation::new(program, ["version"]).timeout(PATIENCE).run(interrupt) {
            // Where there is no engine there is nothing of it.
            Err(InvocationError::NotFound { .. }) => {}
            Ok(transcript) if transcript.succeeded() => cleaners.push(cleaner),
            Ok(transcript) => silent.push(format!("{program}: {}", transcript.last_words())),
            Err(error) => silent.push(error.to_string()),
        }
    }
    // An engine that fails keeps nothing else from being cleaned.
    let mut failed = |cleaned: Result<()>| silent.extend(cleaned.err().map(|it| format!("{it:#}")));
    for cleaner in &cleaners {
        failed(cleaner.containers(account));
    }
    let ended = processes::clean(account);
    if *ended.as_ref().unwrap_or(&false) {
        // One of them may have been asking an engine for a container, which that still makes.
        thread::sleep(ENGINE_SETTLES);
        for cleaner in &cleaners {
            failed(cleaner.containers(account));
        }
    }
    for cleaner in &cleaners {
        failed(cleaner.images(account));
    }
    failed(ended.map(drop));
    failed(volumes::clean(account));
    failed(cluster::clean(interrupt, account));
    if !silent.is_empty() {
        bail!("something may be left where not all could be cleaned: {}", silent.join("; "));
    }
    if account.told().is_empty() {
        account.tell("nothing was left");
    }
    Ok(())
}
