//! The ledger: what a run of this program makes, written down before it is made.
//!
//! A command has one ledger, a file of its own that only its user may write. It is locked for as long as the
//! command lives, so a ledger that can be locked belongs to a run that has ended. The command removes the file
//! when everything in it is gone. `cargo xtask clean` reads the ledgers of killed runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::labels::RunId;

pub use self::engine_kind::EngineKind;
pub use self::entry::{ClusterAt, EngineAt, Entry, LeftoverManifest};
pub use self::store::{Found, LedgerError, Past, all, folder, parse};

mod engine_kind;
mod entry;
mod store;

/// The ledger of one command; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<LedgerState>>);

#[derive(Debug, Default)]
struct LedgerState {
    /// Where it is to be; `None` leaves that to the environment.
    folder: Option<PathBuf>,
    /// Created with the first entry: what makes nothing leaves no file.
    file: Option<(PathBuf, File)>,
    /// All that is still there, as far as is known.
    entries: Vec<Entry>,
    /// Whether the file has entries that were forgotten.
    outdated: bool,
}

impl Ledger {
    /// A ledger in this folder, which has to belong to this user alone. That of `default` is in [`folder`].
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        let ledger = Self::default();
        ledger.lock().folder = Some(folder);
        ledger
    }

    /// Writes down what is going to be made.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] where it cannot be written; then it must not be made.
    pub fn record(&self, entry: Entry) -> Result<(), LedgerError> {
        let mut state = self.lock();
        let (path, file) = state.open()?;
        store::append(path, file, &entry)?;
        state.entries.push(entry);
        Ok(())
    }

    /// Forgets what is gone.
    pub fn forget(&self, is_gone: impl Fn(&Entry) -> bool) {
        let mut state = self.lock();
        let before = state.entries.len();
        state.entries.retain(|entry| !is_gone(entry));
        state.outdated |= state.entries.len() < before;
    }

    /// The entries of one run that are not forgotten.
    #[must_use]
    pub fn of_run(&self, run: &RunId) -> Vec<Entry> {
        let state = self.lock();
        state.entries.iter().filter(|entry| entry.run() == Some(run)).cloned().collect()
    }

    /// The ledger's file, made where it is not there yet.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] where it cannot be made.
    pub fn path(&self) -> Result<PathBuf, LedgerError> {
        Ok(self.lock().open()?.0.clone())
    }

    fn lock(&self) -> MutexGuard<'_, LedgerState> {
        // The entries stay whole whatever panicked while they were locked.
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
    /// Removes the file, or leaves in it what is still there.
    fn drop(&mut self) {
        // The lock goes with the file, after this.
        let Some((path, _locked)) = self.file.take() else { return };
        if self.entries.is_empty() {
            // One that stays names nothing that is there, and the next clean removes it.
            let _ = fs::remove_file(path);
        } else if self.outdated {
            // Where this fails the file names too much, which does no harm.
            let _ = store::rewrite(&path, &self.entries);
        }
    }
}
