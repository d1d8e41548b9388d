//! What killed runs of the matrix have left on the host itself.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use anyhow::Result;
use rustix::process::geteuid;

use crate::host::{Remains, VOLUME_PREFIX};
use crate::ledger::{Liveness, Owner};

/// Removes the volumes of runs that are gone, and the shared memory that their containers left in
/// the host's namespace.
pub(super) fn clean(out: &mut Vec<u8>) -> Result<()> {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else { return Ok(()) };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(VOLUME_PREFIX)
            // Somebody else's would tell us what to remove.
            && entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        let Some(remains) = Remains::read(&entry.path()).filter(|_| ours) else { continue };
        let owner = remains.owner.parse::<Owner>();
        if !owner.is_ok_and(|owner| owner.liveness() == Liveness::Dead) {
            continue;
        }
        let count = remains.remove();
        let path = entry.path();
        match fs::remove_dir_all(&path) {
            // Somebody else cleans up at the same moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            answer => answer?,
        }
        writeln!(
            out,
            "removed {} and {count} things left in the host's namespace",
            path.display()
        )?;
    }
    Ok(())
}
