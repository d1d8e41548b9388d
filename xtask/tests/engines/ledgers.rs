//! A folder of ledgers for each thread that runs trials: a trial cleans up only its own runs, and
//! not those of other trials or test programs.

use std::cell::OnceCell;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::isolated_env;

thread_local! {
    static FOLDER: OnceCell<PathBuf> = const { OnceCell::new() };
}

/// Returns the folder that contains the folders of all threads.
pub(crate) fn root() -> PathBuf {
    if isolated_env::is_inside() {
        return isolated_env::aside().join("state");
    }
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("engines.{}", std::process::id()))
}

/// Returns this thread's `XDG_STATE_HOME`, and creates it on the first call.
pub(crate) fn state() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    FOLDER.with(|folder| {
        let make = || {
            let path = root().join(NUMBER.fetch_add(1, Ordering::SeqCst).to_string());
            fs::create_dir_all(path.join("tmp")).unwrap();
            path
        };
        folder.get_or_init(make).clone()
    })
}

/// Returns the environment variables for a run.
pub(crate) fn environment() -> Vec<(&'static str, PathBuf)> {
    let mut environment = vec![("XDG_STATE_HOME", state())];
    if !isolated_env::is_inside() {
        // Separates the temporary files of runs from those of other programs.
        environment.push(("TMPDIR", state().join("tmp")));
    }
    environment
}

/// Returns whether a ledger of a running process in this thread's folder contains `word`.
pub(crate) fn is_in_use(word: &str) -> bool {
    let entries = fs::read_dir(state().join("shm_experiment")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        let Ok(file) = File::open(&path) else { return false };
        let is_locked = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        is_locked && fs::read_to_string(&path).is_ok_and(|text| text.contains(word))
    })
}
