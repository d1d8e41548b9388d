//! `/dev/shm` and the POSIX objects in it.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::statvfs;
use serde::Serialize;
use shm_cli::mounts::Mount;
use shm_core::posix::DIRECTORY;

/// What is mounted at `/dev/shm`, and its room.
#[derive(Debug, Serialize)]
pub(crate) struct DevShm {
    /// The mount that has the directory: at `/dev/shm`, or another if nothing is mounted there.
    pub(crate) mount: Mount,
    /// The size of the file system in bytes; 0 if it has no limit.
    pub(crate) size: u64,
    pub(crate) free: u64,
    /// The number of inodes; 0 if it has no limit.
    pub(crate) inodes: u64,
    pub(crate) free_inodes: u64,
    pub(crate) mode: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl DevShm {
    pub(crate) fn read() -> io::Result<Self> {
        let metadata = fs::metadata(DIRECTORY)?;
        let room = statvfs(DIRECTORY)?;
        Ok(Self {
            mount: Mount::of_path(Path::new(DIRECTORY))?,
            size: room.f_blocks.saturating_mul(room.f_frsize),
            free: room.f_bavail.saturating_mul(room.f_frsize),
            inodes: room.f_files,
            free_inodes: room.f_ffree,
            mode: octal(&metadata),
            uid: metadata.uid(),
            gid: metadata.gid(),
        })
    }

    /// Returns whether the mode lets each user create objects.
    pub(crate) fn is_writable_for_all(&self) -> bool {
        u32::from_str_radix(&self.mode, 8).is_ok_and(|mode| mode & 0o3 == 0o3)
    }

    /// Returns whether it is a whole file system, so that its use is that of the POSIX objects.
    pub(crate) fn is_separate(&self) -> bool {
        self.mount.mount_point == DIRECTORY && self.mount.root == "/"
    }
}

/// A file in `/dev/shm`.
#[derive(Debug, Serialize)]
pub(crate) struct PosixObject {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: String,
    pub(crate) size: u64,
    /// The memory that it has, in bytes.
    pub(crate) allocated: u64,
    /// The time of the last write, in seconds since the epoch.
    pub(crate) mtime: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Object,
    /// The C library keeps the semaphore of `sem_open(3)` in a file `sem.NAME`.
    Semaphore,
    Directory,
    Other,
}

impl Kind {
    fn of(file: FileType, name: &str) -> Self {
        match () {
            () if file.is_file() && name.starts_with("sem.") => Self::Semaphore,
            () if file.is_file() => Self::Object,
            () if file.is_dir() => Self::Directory,
            () => Self::Other,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Semaphore => "semaphore",
            Self::Directory => "directory",
            Self::Other => "other",
        }
    }
}

/// Returns the files in `/dev/shm`, by name. Does not look into directories.
pub(crate) fn objects() -> io::Result<Vec<PosixObject>> {
    let mut objects = Vec::new();
    for (name, metadata) in entries(DIRECTORY)? {
        objects.push(PosixObject {
            kind: Kind::of(metadata.file_type(), &name),
            name,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: octal(&metadata),
            size: metadata.size(),
            allocated: metadata.blocks().saturating_mul(512),
            mtime: metadata.mtime(),
        });
    }
    Ok(objects)
}

/// Returns the entries of a directory, by name. Those that vanish meanwhile are left out.
pub(crate) fn entries(folder: &str) -> io::Result<Vec<(String, Metadata)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(metadata) = entry.metadata() {
            found.push((entry.file_name().to_string_lossy().into_owned(), metadata));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Returns the permission bits, with the sticky bit.
pub(crate) fn octal(metadata: &Metadata) -> String {
    format!("{:04o}", metadata.mode() & 0o7777)
}
