//! Processes of killed runs.

use std::fs;

use anyhow::Result;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::account::Account;
use crate::ledger::{Liveness, OWNER_LABEL, OWNER_VARIABLE, Owner};

/// Ends the processes whose runs are gone: containers of the namespaces engine, by their
/// environment, and commands that make containers, by the label among their arguments. Other
/// commands end by themselves, and what an engine keeps running behind them is not ours. Says
/// whether it ended any.
pub(super) fn clean(account: &mut Account) -> Result<bool> {
    let mut any = false;
    for entry in fs::read_dir("/proc")?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        // Opened before it is looked at: what is signalled is what was seen, whoever has the number.
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Processes of other users cannot be read, and are not ours to end.
        let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
        let owner = owner_among(&read("environ"), OWNER_VARIABLE)
            .or_else(|| owner_among(&read("cmdline"), OWNER_LABEL));
        if owner.is_none_or(|owner| owner.liveness() != Liveness::Dead) {
            continue;
        }
        let thing = format!("process {}", pid.as_raw_nonzero());
        let ended = account.remove("host", thing, || pidfd_send_signal(process, Signal::KILL));
        any |= ended.is_ok() && !account.is_dry_run();
    }
    Ok(any)
}

/// The owner in an entry `name=owner` of an environment or of a command line.
fn owner_among(entries: &[u8], name: &str) -> Option<Owner> {
    entries.split(|byte| *byte == 0).find_map(|entry| {
        let value = std::str::from_utf8(entry).ok()?.strip_prefix(name)?;
        value.strip_prefix('=')?.parse().ok()
    })
}
