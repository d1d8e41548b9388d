//! The ledger: a record of what a run makes outside of this process, written before it is made.
//!
//! Each command has one ledger, a file that only its user may write. The command holds a lock on
//! it, so a ledger that can be locked belongs to a run that has ended. The command removes the file
//! when everything in it is gone. `cargo xtask clean` reads the ledgers of killed runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::labels::RunId;

pub use self::entry::{ClusterAt, EngineAt, EngineKind, Entry, LeftoverManifest};
use self::store::folder;
pub use self::store::{LedgerError, parse};
pub(crate) use self::store::{Past, StoredLedger, all};

mod entry;
mod store;

/// The ledger of one command; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<LedgerState>>);

#[derive(Debug, Default)]
struct LedgerState {
    /// The folder; `None` means that of [`folder`].
    folder: Option<PathBuf>,
    /// Created with the first entry, so that a run that makes nothing leaves no file.
    file: Option<(PathBuf, File)>,
    /// The entries that may still exist.
    entries: Vec<Entry>,
    /// Whether the file has entries that [`Ledger::forget`] removed.
    outdated: bool,
}

impl Ledger {
    /// Creates a ledger in this folder, which only this user may write.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        let ledger = Self::default();
        ledger.lock().folder = Some(folder);
        ledger
    }

    /// Records what the caller is going to make, and must not make if this fails.
    pub(crate) fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        let mut state = self.lock();
        let (path, file) = state.open()?;
        store::append(path, file, &entry)?;
        state.entries.push(entry);
        Ok(())
    }

    /// Removes the entries that `is_gone` selects.
    pub(crate) fn forget(&self, is_gone: impl Fn(&Entry) -> bool) {
        let mut state = self.lock();
        let before = state.entries.len();
        state.entries.retain(|entry| !is_gone(entry));
        state.outdated |= state.entries.len() < before;
    }

    /// Returns the entries of one run.
    pub(crate) fn of_run(&self, run: &RunId) -> Vec<Entry> {
        let state = self.lock();
        state.entries.iter().filter(|entry| entry.run() == Some(run)).cloned().collect()
    }

    /// Returns the ledger's file. Creates the file if it does not exist.
    pub(crate) fn path(&self) -> Result<PathBuf, LedgerError> {
        Ok(self.lock().open()?.0.clone())
    }

    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        // The entries are valid even after a panic of another thread.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerState {
    fn open(&mut self) -> Result<&mut (PathBuf, File), LedgerError> {
        match &mut self.file {
            Some(open) => Ok(open),
            none => {
                let folder = self.folder.clone().map_or_else(folder, Ok)?;
                Ok(none.insert(store::create(&folder)?))
            }
        }
    }
}

impl Drop for LedgerState {
    /// Removes the file if no entry remains; else updates it.
    fn drop(&mut self) {
        // The file is closed, and so unlocked, at the end of this function.
        let Some((path, _locked)) = self.file.take() else { return };
        if self.entries.is_empty() {
            // If this fails, the next clean removes the file.
            let _ = fs::remove_file(path);
        } else if self.outdated {
            // If this fails, the file names too much, which does no harm.
            let _ = store::rewrite(&path, &self.entries);
        }
    }
}
