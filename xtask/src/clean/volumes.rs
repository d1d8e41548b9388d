//! What killed runs of the matrix have left on the host itself.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result};
use rustix::process::geteuid;

use super::account::Account;
use crate::host::{Remains, VOLUME_PREFIX};
use crate::ledger::{Liveness, Owner};

/// Removes the volumes of runs that are gone, and the shared memory that their containers left in
/// the host's namespace.
pub(super) fn clean(account: &mut Account) -> Result<()> {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else { return Ok(()) };
    let mut failed = Ok(());
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(VOLUME_PREFIX)
            // Somebody else's would tell us what to remove.
            && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        let Some(remains) = ours.then(|| Remains::read(&entry.path())).flatten() else { continue };
        let owner = remains.owner.parse::<Owner>();
        if !owner.is_ok_and(|owner| owner.liveness() == Liveness::Dead) {
            continue;
        }
        let path = entry.path();
        let things = format!("{} and what was left in the host's namespace", path.display());
        let removed = account.remove("host", things, || {
            let _ = remains.remove();
            match fs::remove_dir_all(&path) {
                // Somebody else cleans up at the same moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                answer => answer,
            }
        });
        let removed = removed.with_context(|| format!("{} is left", path.display()));
        failed = failed.and(removed);
    }
    failed
}
