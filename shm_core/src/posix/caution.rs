//! Opening existing files at paths that other users can control.
//!
//! The rules are those of the kernel's `fs.protected_symlinks` and `fs.protected_regular`
//! (`Documentation/admin-guide/sysctl/fs.rst`). This module applies them even if they are disabled:
//! in a sticky, world-writable directory such as `/tmp`, a link or a file of another user can be a
//! trap for a process with more privileges.

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{Errno, sys};

/// Flags for opening: do not wait for the peer of a FIFO, do not take a controlling terminal.
pub(super) const FLAGS: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// The maximum number of links that are followed, as in the kernel.
const MAX_LINKS: u32 = 40;
const STICKY_AND_WRITABLE_BY_ALL: u32 = libc::S_ISVTX | libc::S_IWOTH;

/// The virtual file systems, whose files the kernel generates: `f_type` and name.
const VIRTUAL: [(u32, &str); 11] = [
    (0x0000_9fa0, PROC),
    (0x6265_6572, "sysfs"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x6265_6570, "configfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0xde5e_81e4, "efivarfs"),
    (0x1980_0202, "mqueue"),
];
const PROC: &str = "proc";

/// Opens a regular file.
///
/// Fails with `EINVAL` for anything else, and with `EACCES` for a [trap](Trap).
pub(super) fn open(path: &Path, write: bool) -> Result<File, Errno> {
    let Resolved { path, proc_link } = resolve(path)?;
    // Opening a device can have side effects.
    is_regular(fs::metadata(&path))?;
    let no_link = if proc_link { 0 } else { libc::O_NOFOLLOW };
    let mut options = OpenOptions::new();
    options.read(true).write(write).custom_flags(FLAGS | no_link);
    let file = options.open(&path).map_err(|error| Errno::from_io(&error))?;
    if virtual_name(&file).is_some() {
        return Err(Errno::EINVAL);
    }
    let metadata = file.metadata().map_err(|error| Errno::from_io(&error))?;
    if write && !proc_link && has_untrusted_owner(&metadata, &path) {
        return Err(Errno::EACCES);
    }
    Ok(file)
}

/// Fails with `EINVAL` for anything but a regular file.
pub(super) fn is_regular(metadata: io::Result<Metadata>) -> Result<(), Errno> {
    let metadata = metadata.map_err(|error| Errno::from_io(&error))?;
    if metadata.is_file() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// The target of a path.
struct Resolved<'a> {
    path: Cow<'a, Path>,
    /// Whether it is a link in `/proc` to an open file, which only the kernel can follow.
    proc_link: bool,
}

fn resolve(path: &Path) -> Result<Resolved<'_>, Errno> {
    let mut path = Cow::Borrowed(path);
    for _ in 0..MAX_LINKS {
        let metadata = fs::symlink_metadata(&path).map_err(|error| Errno::from_io(&error))?;
        if !metadata.is_symlink() {
            return Ok(Resolved { path, proc_link: false });
        }
        if file_system_of(folder_of(&path)) == Some(PROC) {
            return Ok(Resolved { path, proc_link: true });
        }
        if has_untrusted_owner(&metadata, &path) {
            return Err(Errno::EACCES);
        }
        let target = fs::read_link(&path).map_err(|error| Errno::from_io(&error))?;
        path = Cow::Owned(folder_of(&path).join(target));
    }
    Err(Errno::ELOOP)
}

/// Returns whether the directory of `path` is sticky and world-writable, and the owner of `path` is
/// neither this user nor the owner of the directory.
fn has_untrusted_owner(metadata: &Metadata, path: &Path) -> bool {
    fs::metadata(folder_of(path)).is_ok_and(|folder| {
        folder.mode() & STICKY_AND_WRITABLE_BY_ALL == STICKY_AND_WRITABLE_BY_ALL
            && metadata.uid() != sys::effective_uid()
            && metadata.uid() != folder.uid()
    })
}

/// Returns the directory that contains the last component of a path.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the name of the file system of an open file, or `None` if it is not virtual.
fn virtual_name(file: &File) -> Option<&'static str> {
    let kind = sys::file_system(file.as_fd()).ok()?;
    VIRTUAL.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

/// Returns the name of a path's file system, or `None` if it is not virtual. Opens with `O_PATH`.
#[must_use]
pub fn file_system_of(path: &Path) -> Option<&'static str> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
    virtual_name(&file)
}

/// A reason for `EACCES` other than the permission bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A link of another user.
    Link {
        /// The link.
        path: PathBuf,
        /// The target of the link.
        target: PathBuf,
        /// The user id of its owner.
        owner: u32,
    },
    /// A file of another user.
    File {
        /// The user id of its owner.
        owner: u32,
    },
}

/// Returns the first trap on a path, or `None`. Follows links.
#[must_use]
pub fn trap(path: &Path) -> Option<Trap> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let metadata = fs::symlink_metadata(&path).ok()?;
        let (untrusted, owner) = (has_untrusted_owner(&metadata, &path), metadata.uid());
        if !metadata.is_symlink() {
            return untrusted.then_some(Trap::File { owner });
        }
        let target = fs::read_link(&path).ok()?;
        if untrusted {
            return Some(Trap::Link { path, target, owner });
        }
        path = folder_of(&path).join(target);
    }
    None
}
