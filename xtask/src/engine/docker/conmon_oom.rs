//! The empty file `oom` that podman's monitor leaves in the folder that podman was run in, when a
//! container exceeds its memory (conmon `src/oom.c`: `write_oom_files`).

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

const FILE: &str = "oom";

/// Whether there was one before any of ours.
static WAS_THERE: OnceLock<bool> = OnceLock::new();

/// To be called before a container is made whose memory is limited.
pub(super) fn expect() {
    WAS_THERE.get_or_init(|| Path::new(FILE).exists());
}

/// Removes it, unless it was there before or somebody has put something into it.
pub(super) fn remove() {
    let is_empty = fs::metadata(FILE).is_ok_and(|file| file.is_file() && file.len() == 0);
    if WAS_THERE.get() == Some(&false) && is_empty {
        // Another script of this program may have been faster.
        let _ = fs::remove_file(FILE);
    }
}
