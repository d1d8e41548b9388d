//! The folder on the host that all containers of a matrix share.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::{env, io};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, renameat, statat, unlinkat,
};
use rustix::process::geteuid;

use crate::process::labels::RunId;
use crate::process::ledger::{Entry, Ledger, LedgerError};
use crate::process::untrusted::Untrusted;

/// The prefix of the folder's name; the run's id follows.
pub const PREFIX: &str = "shm_experiment.";

/// The folder. It is removed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Volume {
    /// The folder that containers mount. The root of a container may be another user of the host,
    /// so everyone may write in it; only this user can reach it outside of containers.
    pub(crate) shared: PathBuf,
    path: PathBuf,
    run: RunId,
    ledger: Ledger,
}

/// Why the folder cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    /// It cannot be recorded.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It cannot be created.
    #[error("{}: {source}", Untrusted::path(path))]
    Io {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Volume {
    /// Creates the folder in the temporary folder.
    pub(crate) fn make(ledger: &Ledger) -> Result<Self, VolumeError> {
        let run = RunId::random();
        let path = env::temp_dir().join(format!("{PREFIX}{run}"));
        let path = path::absolute(&path).map_err(|source| VolumeError::Io { path, source })?;
        ledger.record(Entry::Folder { run: run.clone(), path: path.clone() })?;
        let shared = path.join("shared");
        let made = DirBuilder::new().mode(0o700).create(&path);
        if let Err(source) = made {
            return Err(VolumeError::Io { path, source });
        }
        // Removes the folder on failure.
        let volume = Self { shared, path, run, ledger: ledger.clone() };
        fs::create_dir(&volume.shared)
            .and_then(|()| fs::set_permissions(&volume.shared, Permissions::from_mode(0o777)))
            .map_err(|source| VolumeError::Io { path: volume.shared.clone(), source })?;
        Ok(volume)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if remove(&self.path, &self.run).is_ok() {
            self.ledger.forget(|entry| entry.run() == Some(&self.run));
        }
    }
}

/// Returns whether a run's folder exists: its name has the run's id, and this user owns it.
pub(crate) fn is_there(path: &Path, run: &RunId) -> bool {
    let named = path.file_name().is_some_and(|name| *name == *format!("{PREFIX}{run}"));
    let ours = |it: Metadata| it.is_dir() && it.uid() == geteuid().as_raw();
    named && fs::symlink_metadata(path).is_ok_and(ours)
}

/// Removes the folder of a run with everything that containers left in it.
pub(crate) fn remove(path: &Path, run: &RunId) -> io::Result<()> {
    if !is_there(path, run) {
        return Ok(());
    }
    remove_all_in(path)?;
    fs::remove_dir(path)
}

/// Empties a folder of any depth with few file descriptors: moves each nested folder to the top
/// before it removes it. Follows no link, and removes nothing that is mounted there.
fn remove_all_in(path: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = openat(CWD, path, flags, Mode::empty())?;
    let device = fstat(&top)?.st_dev;
    loop {
        let names = names(&top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !is_folder(&top, &name)? {
                unlinkat(&top, &name, AtFlags::empty())?;
                continue;
            }
            let below = openat(&top, &name, flags, Mode::empty())?;
            if fstat(&below)?.st_dev != device {
                return Err(io::Error::other("a file system is mounted in it"));
            }
            for it in self::names(&below)? {
                if is_folder(&below, &it)? {
                    renameat(&below, &it, &top, RunId::random().to_string())?;
                } else {
                    unlinkat(&below, &it, AtFlags::empty())?;
                }
            }
            unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

fn is_folder(folder: &OwnedFd, name: &CStr) -> io::Result<bool> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Returns the names in a folder, except `.` and `..`.
fn names(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}
