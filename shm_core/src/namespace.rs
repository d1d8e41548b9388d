//! The identity of the IPC namespace of a process.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sys;
use crate::{Errno, Error, Result};

/// The inode of the initial IPC namespace of a kernel, `PROC_IPC_INIT_INO`.
const INITIAL_INODE: u64 = 0xEFFF_FFFF;

const CURRENT: &str = "/proc/self/ns/ipc";

/// The identity of an IPC namespace.
///
/// The inode of `/proc/PID/ns/ipc` does not identify a namespace: the kernel reuses the inode of a
/// removed namespace, so a restarted container often shows the same one. Linux 6.18 has 64-bit ids
/// that are never reused. On older kernels, this value keeps the file of the namespace open, so the
/// kernel cannot reuse the inode as long as the value exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IpcNamespace {
    inode: u64,
    id: Option<u64>,
    #[serde(skip)]
    _held: Option<Arc<File>>,
}

impl IpcNamespace {
    /// Returns the namespace of the calling process.
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`] if `/proc` is not mounted.
    pub fn current() -> Result<Self> {
        Self::open(CURRENT.into())
    }

    /// Returns whether the capabilities of this process count for the objects of its IPC namespace:
    /// the user namespace that owns it is that of this process or a descendant. Returns `None` if
    /// the kernel does not say.
    #[must_use]
    pub fn grants_capabilities() -> Option<bool> {
        let namespace = File::open(CURRENT).ok()?;
        match sys::owning_user_namespace(&namespace) {
            Ok(_) => Some(true),
            Err(Errno::EPERM) => Some(false),
            Err(_) => None,
        }
    }

    /// Returns the namespace of another process, by its id in this process's pid namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`]: `ENOENT` if no such process exists, `EACCES` without permission to
    /// inspect it.
    pub fn of_process(pid: u32) -> Result<Self> {
        Self::open(PathBuf::from(format!("/proc/{pid}/ns/ipc")))
    }

    /// Returns a namespace that a process elsewhere reported. The 64-bit id is required: no file is
    /// held open, so the kernel can reuse the inode.
    #[must_use]
    pub fn reported(inode: u64, id: u64) -> Self {
        Self { inode, id: Some(id), _held: None }
    }

    /// Returns the namespace of an open file, such as `/proc/PID/ns/ipc`.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`.
    pub fn of_file(file: File) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        let id = sys::namespace_id(&file).ok();
        let held = id.is_none().then(|| Arc::new(file));
        Ok(Self { inode, id, _held: held })
    }

    fn open(path: PathBuf) -> Result<Self> {
        File::open(&path)
            .and_then(Self::of_file)
            .map_err(|error| Error::Namespace { path, errno: Errno::from_io(&error) })
    }

    /// Returns the inode that `ls -l /proc/PID/ns` shows. The kernel reuses inodes.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// Returns the kernel's 64-bit id, or `None` before Linux 6.18.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Returns whether it is the initial namespace of the kernel: on a host, the host's namespace.
    #[must_use]
    pub fn is_initial(&self) -> bool {
        self.inode == INITIAL_INODE
    }
}

/// Returns the id of the kernel's boot, `/proc/sys/kernel/random/boot_id`, or `None` if `/proc` is
/// not mounted. Containers on one kernel show the same id. Containers on another machine, or with a
/// separate kernel, show another id.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

impl PartialEq for IpcNamespace {
    fn eq(&self, other: &Self) -> bool {
        match (self.id, other.id) {
            (Some(one), Some(two)) => one == two,
            // A namespace without an id is held open, so the kernel does not reuse its inode.
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
    fn both_functions_find_the_namespace_of_this_process() {
        let current = IpcNamespace::current().unwrap();
        assert_eq!(current, IpcNamespace::of_process(std::process::id()).unwrap());
        let link = std::fs::read_link("/proc/self/ns/ipc").unwrap();
        assert!(current.to_string().starts_with(link.to_str().unwrap()));
    }
}
