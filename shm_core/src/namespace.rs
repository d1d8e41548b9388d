//! Which IPC namespace a process is in.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::sys;
use crate::{Errno, Error, Result};

/// The inode of the namespace that a kernel starts with, `PROC_IPC_INIT_INO`.
const INITIAL_INODE: u64 = 0xEFFF_FFFF;

/// An IPC namespace's identity.
///
/// The inode of `/proc/PID/ns/ipc` alone is none: the kernel gives it out again as soon as a
/// namespace is gone, so that a restarted container often shows the same one. Linux 6.18 has a
/// 64-bit id that is never used twice. On older kernels this value holds the namespace's file open,
/// which keeps its inode from being given out for as long as the value lives.
#[derive(Clone, Debug, Serialize)]
pub struct IpcNamespace {
    inode: u64,
    id: Option<u64>,
    #[serde(skip)]
    _held: Option<Arc<File>>,
}

impl IpcNamespace {
    /// The calling process's.
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`] where `/proc` is not mounted.
    pub fn current() -> Result<Self> {
        Self::open(Path::new("/proc/self/ns/ipc").to_owned())
    }

    /// Another process's, by its id in this process's pid namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`]: `ENOENT` where there is no such process, `EACCES` where it is
    /// somebody else's.
    pub fn of_process(pid: u32) -> Result<Self> {
        Self::open(PathBuf::from(format!("/proc/{pid}/ns/ipc")))
    }

    /// One that a process elsewhere reported of itself. Only with a 64-bit id: nothing holds it, so
    /// its inode alone would say nothing.
    #[must_use]
    pub fn reported(inode: u64, id: u64) -> Self {
        Self { inode, id: Some(id), _held: None }
    }

    fn open(path: PathBuf) -> Result<Self> {
        let answer = File::open(&path).and_then(|file| Ok((file.metadata()?.ino(), file)));
        let (inode, file) =
            answer.map_err(|error| Error::Namespace { path, errno: Errno::from_io(&error) })?;
        let id = sys::namespace_id(&file).ok();
        let held = id.is_none().then(|| Arc::new(file));
        Ok(Self { inode, id, _held: held })
    }

    /// The inode that `ls -l /proc/PID/ns` shows; not an identity by itself.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The kernel's 64-bit id, since Linux 6.18.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Whether it is the one that the kernel started with: the host's, seen from a host.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        self.inode == INITIAL_INODE
    }
}

/// The id of the running kernel's boot, `/proc/sys/kernel/random/boot_id`: containers that share
/// the kernel show the same, those on another machine or with a kernel of their own do not.
/// `None` where `/proc` is not mounted.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

impl PartialEq for IpcNamespace {
    fn eq(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (Some(one), Some(two)) => one == two,
            // Both files are held open, so equal inodes are the same namespace.
            _ => self.inode == other.inode,
        }
    }
}

impl Eq for IpcNamespace {}

impl fmt::Display for IpcNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ipc:[{}]", self.inode)?;
        match self.id {
            Some(id) => write!(f, " id {id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IpcNamespace;

    #[test]
    fn a_process_is_in_its_own_namespace() {
        let current = IpcNamespace::current().unwrap();
        assert_eq!(current, IpcNamespace::of_process(std::process::id()).unwrap());
        let link = std::fs::read_link("/proc/self/ns/ipc").unwrap();
        assert!(current.to_string().starts_with(link.to_str().unwrap()));
    }
}
