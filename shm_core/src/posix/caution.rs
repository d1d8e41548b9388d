//! Opening what is there at a path that others may have prepared.
//!
//! The rules are the kernel's own `fs.protected_symlinks` and `fs.protected_regular`
//! (`Documentation/admin-guide/sysctl/fs.rst`), kept also where those are switched off: in a sticky
//! directory that everybody may write to, such as `/tmp`, a link or a file of somebody else's is a
//! trap for whoever has more rights.

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::{Errno, sys};

/// No FIFO keeps us waiting for its peer, and no terminal becomes ours.
pub(super) const FLAGS: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

/// How many links are followed, as in the kernel.
const MOST_LINKS: u32 = 40;
const STICKY_AND_WRITABLE_BY_ALL: u32 = libc::S_ISVTX | libc::S_IWOTH;

/// The file systems whose files are made up by the kernel when they are read, with their names.
const MADE_UP: [(u32, &str); 11] = [
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
/// `EINVAL` for anything else; `EACCES` for a [trap](Trap).
pub(super) fn open(path: &Path, write: bool) -> Result<File, Errno> {
    let Place { path, by_the_kernel } = follow(path)?;
    // To open a device can already do something.
    is_regular(fs::metadata(&path))?;
    let no_link = if by_the_kernel { 0 } else { libc::O_NOFOLLOW };
    let mut options = OpenOptions::new();
    options.read(true).write(write).custom_flags(FLAGS | no_link);
    let file = options.open(&path).map_err(|error| Errno::from_io(&error))?;
    if made_up_by_kernel(&file).is_some() {
        return Err(Errno::EINVAL);
    }
    let metadata = file.metadata().map_err(|error| Errno::from_io(&error))?;
    if write && !by_the_kernel && is_somebody_elses(&metadata, &path) {
        return Err(Errno::EACCES);
    }
    Ok(file)
}

/// Refuses what is no regular file.
pub(super) fn is_regular(metadata: io::Result<Metadata>) -> Result<(), Errno> {
    let metadata = metadata.map_err(|error| Errno::from_io(&error))?;
    if metadata.is_file() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Where the links of a path lead.
struct Place<'a> {
    path: Cow<'a, Path>,
    /// Whether the last one is of `/proc`, which only the kernel can follow: it leads to an open file.
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

/// Whether it is neither ours nor the directory's owner's, in a directory where that matters.
fn is_somebody_elses(metadata: &Metadata, path: &Path) -> bool {
    fs::metadata(folder_of(path)).is_ok_and(|folder| {
        folder.mode() & STICKY_AND_WRITABLE_BY_ALL == STICKY_AND_WRITABLE_BY_ALL
            && metadata.uid() != sys::effective_uid()
            && metadata.uid() != folder.uid()
    })
}

/// The directory of a path's last component.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of the file system of an open file, if that is made up by the kernel.
fn made_up_by_kernel(file: &File) -> Option<&'static str> {
    let kind = sys::file_system(file.as_fd()).ok()?;
    MADE_UP.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| *name)
}

/// The same for a path, which is not opened for anything else.
pub(crate) fn file_system_of(path: &Path) -> Option<&'static str> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
    made_up_by_kernel(&file)
}

/// What is refused with `EACCES` though the modes would allow it.
pub(crate) enum Trap {
    /// A link of another user's, and where it leads.
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A file of another user's.
    File {
        /// Whose it is.
        owner: u32,
    },
}

/// Looks for a trap at a path, to say so.
pub(crate) fn trap(path: &Path) -> Option<Trap> {
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
