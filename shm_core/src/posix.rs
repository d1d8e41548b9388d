//! POSIX shared memory objects, and regular files as shared memory.
//!
//! A POSIX object is a file on the tmpfs at `/dev/shm`: it belongs to this mount, not to the IPC
//! namespace. `pread(2)` and `pwrite(2)` copy its bytes; they access the same pages as the mappings
//! of other processes. If another process shrinks the object meanwhile, the read is short, whereas
//! an access to a mapping would end this process with SIGBUS.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use crate::sys::{Room, room};
use crate::{Access, Attachment, Errno, Error, Origin, Result, WritableAttachment, sys};

pub mod caution;

/// The directory in which the C library keeps POSIX objects.
pub const DIRECTORY: &str = "/dev/shm";

/// The name of a POSIX object: one path component, parsed with or without a slash before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(CString);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name was made from a &str, so no character is replaced.
        f.pad(&self.0.to_string_lossy())
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let component = text.strip_prefix('/').unwrap_or(text);
        let invalid = matches!(component, "" | "." | "..")
            || component.contains('/')
            || component.len() > 254;
        if invalid {
            return Err(Error::Name(text.to_owned()));
        }
        CString::new(format!("/{component}")).map(Self).map_err(|_| Error::Name(text.to_owned()))
    }
}

/// The name or the path of an [`Object`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A POSIX object.
    Posix(Name),
    /// A regular file.
    File(PathBuf),
}

impl Location {
    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Posix(name) => PathBuf::from(format!("{DIRECTORY}{name}")),
            Self::File(path) => path.clone(),
        }
    }

    /// Creates a file. The path must not exist, not even as a link.
    fn create(&self, mode: u32) -> Result<File> {
        let answer = match self {
            Self::Posix(name) => {
                sys::shm_open(&name.0, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL, mode)
            }
            Self::File(path) => OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(path)
                .map_err(|error| Errno::from_io(&error)),
        };
        answer.map_err(|errno| self.error(self.open_call(), Access::Create, errno))
    }

    /// Opens an existing regular file.
    fn open(&self, write: bool) -> Result<File> {
        let answer = match self {
            // Opening a device can have side effects.
            Self::Posix(name) => {
                caution::is_regular(fs::symlink_metadata(self.path())).and_then(|()| {
                    let access = if write { libc::O_RDWR } else { libc::O_RDONLY };
                    sys::shm_open(&name.0, access | caution::FLAGS, 0)
                })
            }
            Self::File(path) => caution::open(path, write),
        };
        let access = if write { Access::ReadWrite } else { Access::Read };
        answer.map_err(|errno| self.error(self.open_call(), access, errno))
    }

    fn open_call(&self) -> &'static str {
        match self {
            Self::Posix(_) => "shm_open",
            Self::File(_) => "open",
        }
    }

    fn error(&self, call: &'static str, access: Access, errno: Errno) -> Error {
        Error::File { call, path: self.path(), size: 0, access, errno }
    }

    /// Removes the name. Existing mappings and open files stay valid. `shm_unlink(3)`, `unlink(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: `ENOENT` if the name does not exist; `EACCES` or `EPERM` without
    /// permission; `EINVAL` if it is neither a regular file nor a link.
    pub fn remove(&self) -> Result<()> {
        let call = match self {
            Self::Posix(_) => "shm_unlink",
            Self::File(_) => "unlink",
        };
        // A device or a FIFO is not shared memory, so its removal would be a mistake.
        let kind = fs::symlink_metadata(self.path()).map(|metadata| metadata.file_type());
        if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_symlink()) {
            return Err(self.error(call, Access::Remove, Errno::EINVAL));
        }
        let answer = match self {
            Self::Posix(name) => sys::shm_unlink(&name.0),
            Self::File(path) => fs::remove_file(path).map_err(|error| Errno::from_io(&error)),
        };
        answer.map_err(|errno| self.error(call, Access::Remove, errno))
    }
}

/// An open POSIX object or file.
#[derive(Debug)]
pub struct Object {
    file: File,
    path: PathBuf,
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Object {
    /// Opens an existing object for reading.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: `ENOENT`, `EACCES`, ...; `EINVAL` for anything but a regular file, and for
    /// files on `/proc`, `/sys` and other virtual file systems; `EACCES` for a link of another user
    /// in a sticky, world-writable directory, even if `fs.protected_symlinks` is 0.
    pub fn open(location: &Location) -> Result<Self> {
        Self::open_regular(location, false)
    }

    /// Opens an existing object for reading and writing.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open); `EACCES` also for a [file](Location::File) of another user in
    /// such a directory, even if `fs.protected_regular` is 0.
    pub fn open_writable(location: &Location) -> Result<Self> {
        Self::open_regular(location, true)
    }

    fn open_regular(location: &Location, write: bool) -> Result<Self> {
        let object = Self { file: location.open(write)?, path: location.path() };
        // Checks the opened file, because the path can have changed since the check before.
        if object.metadata()?.is_file() {
            Ok(object)
        } else {
            Err(location.error(location.open_call(), Access::Unchecked, Errno::EINVAL))
        }
    }

    /// Creates an object of `size` zero bytes with the permission bits `mode`. The umask does not
    /// apply. Allocates all its memory.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: `EEXIST`; `EACCES`; `ENOSPC` if the file system has too little space, and
    /// then no object is left.
    pub fn create_new(location: &Location, size: u64, mode: u32) -> Result<Self> {
        let mode = mode & 0o777;
        let object = Self { file: location.create(mode)?, path: location.path() };
        let prepared = object
            .file
            .set_permissions(Permissions::from_mode(mode))
            .map_err(|error| object.error("fchmod", Errno::from_io(&error)))
            .and_then(|()| object.grow(size));
        if let Err(error) = prepared {
            if object.is_at(&location.path()) {
                // The caller needs the first error, not that of the removal.
                let _ = location.remove();
            }
            return Err(error);
        }
        Ok(object)
    }

    /// Opens and [grows](Self::grow) an existing object, or creates one. Returns which of the two.
    ///
    /// # Errors
    ///
    /// As for [`open_writable`](Self::open_writable), [`grow`](Self::grow) and
    /// [`create_new`](Self::create_new).
    pub fn open_or_create(location: &Location, size: u64, mode: u32) -> Result<(Self, Origin)> {
        loop {
            match Self::create_new(location, size, mode) {
                Ok(object) => return Ok((object, Origin::Created)),
                Err(Error::File { errno: Errno::EEXIST, .. }) => {}
                Err(error) => return Err(error),
            }
            match Self::open_writable(location) {
                Ok(object) => {
                    object.grow(size)?;
                    return Ok((object, Origin::Opened));
                }
                // Removed between the two calls. For a dangling link, a retry would not help.
                Err(Error::File { errno: Errno::ENOENT, path, .. }) if !path.is_symlink() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Grows a smaller object to `size` bytes. The new bytes are 0. Never shrinks an object.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: `ENOSPC` if the file system has too little space, `EFBIG` if a limit is
    /// reached. Then the size is unchanged, and the space that the call allocated is free again.
    pub fn grow(&self, size: u64) -> Result<()> {
        let old = self.size()?;
        if old >= size {
            return Ok(());
        }
        // `ftruncate(2)` succeeds even if the tmpfs has too little space. The first write to a
        // mapping would then end the writer with SIGBUS.
        self.fits(old, size).and_then(|()| self.allocate(old, size)).map_err(|errno| Error::File {
            call: "posix_fallocate",
            path: self.path.clone(),
            size,
            access: Access::Unchecked,
            errno,
        })
    }

    /// Fails like `posix_fallocate(3)`, which would first fill the file system.
    fn fits(&self, old: u64, size: u64) -> Result<(), Errno> {
        if i64::try_from(size).is_err() {
            return Err(Errno::EFBIG);
        }
        let fits = sys::room(self.file.as_fd()).is_none_or(|room| {
            let blocks = |bytes: u64| bytes.div_ceil(room.block);
            blocks(size) - blocks(old) <= room.free / room.block
        });
        if fits { Ok(()) } else { Err(Errno::ENOSPC) }
    }

    fn allocate(&self, old: u64, size: u64) -> Result<(), Errno> {
        sys::allocate(&self.file, old..size).inspect_err(|_| {
            // Most file systems keep the blocks that they allocated before the failure. If the
            // object has the full size now, another process has grown it.
            if self.size().is_ok_and(|now| now < size) {
                // The caller needs the first error, not this one.
                let _ = self.file.set_len(old);
            }
        })
    }

    /// Returns whether the path still names this object.
    fn is_at(&self, path: &Path) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (own, named) = (self.metadata(), fs::symlink_metadata(path));
        own.is_ok_and(|own| named.is_ok_and(|named| identity(named) == identity(own)))
    }

    /// Returns the path of the object's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the current size in bytes. `fstat(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if `fstat(2)` fails.
    pub fn size(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }

    /// Maps the object for reading, in its current size. `mmap(2)`.
    ///
    /// SIGBUS ends this process if it accesses a page that the file system cannot provide: another
    /// process shrank the object by that page, or the page was never written and there is no space.
    /// [`read_at`](Self::read_at) and [`write_at`](Self::write_at) return an error instead.
    ///
    /// # Errors
    ///
    /// [`Error::File`]: `EINVAL` if it is empty or on hugetlbfs, `ENODEV` if its file system has no
    /// mappings, `ENOMEM`, `EAGAIN` if too much memory is locked.
    pub fn map(&self) -> Result<Attachment> {
        let size = self.mapped_size()?;
        Attachment::of_object(self.as_fd(), size, false).map_err(|errno| self.error("mmap", errno))
    }

    /// Maps the object for reading and writing, in its current size. `mmap(2)`.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map); `EACCES` if it is not open for writing.
    pub fn map_writable(&self) -> Result<WritableAttachment> {
        let size = self.mapped_size()?;
        WritableAttachment::of_object(self.as_fd(), size).map_err(|errno| self.error("mmap", errno))
    }

    /// Returns the size of a mapping. The kernel rounds those of hugetlbfs to huge pages, whose size
    /// `munmap(2)` would need.
    fn mapped_size(&self) -> Result<usize> {
        const HUGETLBFS: u32 = 0x9584_58f6;
        let refused = |errno| self.error("mmap", errno);
        if sys::file_system(self.as_fd()).map_err(refused)? == HUGETLBFS {
            return Err(refused(Errno::EINVAL));
        }
        usize::try_from(self.size()?).map_err(|_| refused(Errno::EOVERFLOW))
    }

    fn metadata(&self) -> Result<fs::Metadata> {
        self.file.metadata().map_err(|error| self.error("fstat", Errno::from_io(&error)))
    }

    /// Copies the available bytes from `offset` on into `buffer`; returns their number. `pread(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if reading fails.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => {
                    return answer.map_err(|error| self.error("pread", Errno::from_io(&error)));
                }
            }
        }
    }

    /// Copies `bytes` into the object from `offset` on. `pwrite(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] if they do not all fit; then nothing is written. [`Error::File`] if
    /// writing fails.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let (length, size) = (bytes.len() as u64, self.size()?);
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(Error::OutOfBounds { offset, length, size });
        }
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| self.error("pwrite", Errno::from_io(&error)))
    }

    fn error(&self, call: &'static str, errno: Errno) -> Error {
        Error::File { call, path: self.path.clone(), size: 0, access: Access::Unchecked, errno }
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_is_one_path_component() {
        for name in ["/demo", "demo", "/a.b", "/sem.x"] {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in ["", "/", "a/b", "//x", ".", "/..", &"x".repeat(255), "nul\0"] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }
}
