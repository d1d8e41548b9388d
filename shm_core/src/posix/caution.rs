//! Opening existing files at paths that other users may control.
//!
//! The rules are the kernel's own `fs.protected_symlinks` and `fs.protected_regular`
//! (`Documentation/admin-guide/sysctl/fs.rst`), applied also where those are switched off: in a sticky,
//! world-writable directory such as `/tmp`, a link or a file of another user can be a trap for a
//! process with more rights.

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{Errno, sys};

/// Opening neither waits for the peer of a FIFO nor takes a controlling terminal.
pub(super) const FLAGS: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// How many links are followed, as in the kernel.
const MOST_LINKS: u32 = 40;
const STICKY_AND_WRITABLE_BY_ALL: u32 = libc::S_ISVTX | libc::S_IWOTH;

/// The virtual file systems: the kernel generates their files. By `f_type`, with their names.
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
    let Place { path, by_the_kernel } = follow(path)?;
    // Opening a device can have side effects.
    is_regular(fs::metadata(&path))?;
    let no_link = if by_the_kernel { 0 } else { libc::O_NOFOLLOW };
    let mut options = OpenOptions::new();
    options.read(true).write(write).custom_flags(FLAGS | no_link);
    let file = options.open(&path).map_err(|error| Errno::from_io(&error))?;
    if virtual_name(&file).is_some() {
        return Err(Errno::EINVAL);
    }
    let metadata = file.metadata().map_err(|error| Errno::from_io(&error))?;
    if write && !by_the_kernel && is_somebody_elses(&metadata, &path) {
        return Err(Errno::EACCES);
    }
    Ok(file)
}

/// Refuses anything but a regular file.
pub(super) fn is_regular(metadata: io::Result<Metadata>) -> Result<(), Errno> {
    let metadata = metadata.map_err(|error| Errno::from_io(&error))?;
    if metadata.is_file() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// The target of a path.
struct Place<'a> {
    path: Cow<'a, Path>,
    /// Whether it is a link of `/proc`, which only the kernel can follow: it leads to an open file.
    by_the_kernel: bool,
}

fn follow(path: &Path) -> Result<Place<'_>, Errno> {
    let mut path = Cow::Borrowed(path);
    for _ in 0..MOST_LINKS {
        let metadata = fs::symlink_metadata(&path).map_err(|error| Errno::from_io(&error))?;
        if !metadata.is_symlink() {
            return Ok(Place { path, by_the_kernel: false });
        }
        if file_system_of(folder_of(&path)) == Some(PROC) {
            return Ok(Place { path, by_the_kernel: true });
        }
        if is_somebody_elses(&metadata, &path) {
            return Err(Errno::EACCES);
        }
        let target = fs::read_link(&path).map_err(|error| Errno::from_io(&error))?;
        path = Cow::Owned(folder_of(&path).join(target));
    }
    Err(Errno::ELOOP)
}

/// Whether it belongs neither to this user nor to the directory's owner, in a sticky, world-writable
/// directory.
fn is_somebody_elses(metadata: &Metadata, path: &Path) -> bool {
    fs::metadata(folder_of(path)).is_ok_and(|folder| {
        folder.mode() & STICKY_AND_WRITABLE_BY_ALL == STICKY_AND_WRITABLE_BY_ALL
            && metadata.uid() != sys::effective_uid()
            && metadata.uid() != folder.uid()
    })
}

/// The directory of a path's last component.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of the file system of an open file, if it is virtual.
fn virtual_name(file: &File) -> Option<&'static str> {
    let kind = sys::file_system(file.as_fd()).ok()?;
    VIRTUAL.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

/// The name of the file system of a path, if it is virtual. Opens the path with `O_PATH` alone.
#[must_use]
pub fn file_system_of(path: &Path) -> Option<&'static str> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
    virtual_name(&file)
}

/// A reason for `EACCES` besides the permission bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A link of another user.
    Link {
        /// The link.
        path: PathBuf,
        /// Its target.
        target: PathBuf,
        /// Its user id.
        owner: u32,
    },
    /// A file of another user.
    File {
        /// Its user id.
        owner: u32,
    },
}

/// Finds the trap at a path.
#[must_use]
pub fn trap(path: &Path) -> Option<Trap> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let metadata = fs::symlink_metadata(&path).ok()?;
        let (caught, owner) = (is_somebody_elses(&metadata, &path), metadata.uid());
        if !metadata.is_symlink() {
            return caught.then_some(Trap::File { owner });
        }
        let target = fs::read_link(&path).ok()?;
        if caught {
            return Some(Trap::Link { path, target, owner });
        }
        path = folder_of(&path).join(target);
    }
    None
}
