//! The directories `/dev/shm` and `/dev/mqueue`, seen through the root of a process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags, fstat, fstatvfs, openat2,
    statat, statx,
};
use serde::{Deserialize, Serialize};
use shm_cli::mounts::Mount;

use crate::device::Device;
use crate::facts::DevShm;
use crate::reading::Reading;

/// A directory for POSIX objects: `/dev/shm` of one or more mount namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The device of its file system.
    pub device: Device,
    /// Its inode.
    pub inode: u64,
    /// The regular files in it, by name.
    pub objects: Reading<Vec<Object>>,
}

/// A file in `/dev/shm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its inode.
    pub inode: u64,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
    /// The size in bytes.
    pub size: u64,
    /// The memory that it has, in bytes.
    pub allocated: u64,
}

/// The directories that were seen.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    pub(crate) seen: Vec<Directory>,
}

impl Directories {
    /// Returns what is at `/dev/shm` below a root, and keeps the objects of a new directory.
    pub(crate) fn dev_shm(&mut self, root: BorrowedFd<'_>, mounts: &[Mount]) -> io::Result<DevShm> {
        let directory = open_below(root, "/dev/shm")?;
        let found = fstat(&directory)?;
        let space = fstatvfs(&directory)?;
        let (device, inode) = (Device::from_kernel(found.st_dev), found.st_ino);
        let shm = DevShm {
            device,
            inode,
            mount: mount_of(&directory, mounts),
            size: space.f_blocks.saturating_mul(space.f_frsize),
            free: space.f_bavail.saturating_mul(space.f_frsize),
            inodes: space.f_files,
            free_inodes: space.f_ffree,
            mode: found.st_mode & 0o7777,
            uid: found.st_uid,
            gid: found.st_gid,
        };
        if !self.seen.iter().any(|it| (it.device, it.inode) == (device, inode)) {
            let objects = objects(&directory).into();
            self.seen.push(Directory { device, inode, objects });
        }
        Ok(shm)
    }
}

/// Returns the device of the file system `mqueue` at `/dev/mqueue` below a root.
pub(crate) fn dev_mqueue(root: BorrowedFd<'_>, mounts: &[Mount]) -> io::Result<Device> {
    let directory = open_below(root, "/dev/mqueue")?;
    match mount_of(&directory, mounts) {
        Some(mount) if mount.file_system == "mqueue" => {
            Ok(Device::from_kernel(fstat(&directory)?.st_dev))
        }
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "no file system mqueue is mounted")),
    }
}

/// Opens a directory of a container. A link there leads to another directory of the container, as it
/// does for its processes.
fn open_below(root: BorrowedFd<'_>, path: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
}

fn mount_of(directory: &OwnedFd, mounts: &[Mount]) -> Option<Mount> {
    let found = statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    mounts.iter().find(|mount| mount.id == found.stx_mnt_id).cloned()
}

fn objects(directory: &OwnedFd) -> io::Result<Vec<Object>> {
    let mut objects = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        // One that vanished meanwhile is left out.
        let Ok(found) = statat(directory.as_fd(), entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
        else {
            continue;
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
            objects.push(Object::new(&entry.file_name().to_string_lossy(), &found));
        }
    }
    objects.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(objects)
}

impl Object {
    fn new(name: &str, found: &Stat) -> Self {
        Self {
            name: name.to_owned(),
            inode: found.st_ino,
            uid: found.st_uid,
            gid: found.st_gid,
            mode: found.st_mode & 0o7777,
            size: u64::try_from(found.st_size).unwrap_or(0),
            allocated: u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(512),
        }
    }
}
