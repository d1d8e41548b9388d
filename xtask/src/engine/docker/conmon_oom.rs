//! The empty file `oom` that podman's monitor leaves in its working directory when a container
//! exceeds its memory limit (conmon `src/oom.c`: `write_oom_files`).

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

const FILE: &str = "oom";

/// Whether the file existed before the first container with a memory limit.
static WAS_THERE: OnceLock<bool> = OnceLock::new();

/// Checks whether the file exists. Call it before creating a container with a memory limit.
pub(super) fn expect() {
    WAS_THERE.get_or_init(|| Path::new(FILE).exists());
}

/// Removes the file, unless it existed before or is not empty.
pub(super) fn remove() {
    let is_empty = fs::metadata(FILE).is_ok_and(|file| file.is_file() && file.len() == 0);
    if WAS_THERE.get() == Some(&false) && is_empty {
        // Another script of this program may have removed it already.
        let _ = fs::remove_file(FILE);
    }
}
