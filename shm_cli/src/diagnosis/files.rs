//! The causes of failed calls on POSIX objects and files.

use std::fmt::Write as _;
use std::fs::{self, File, FileType};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use shm_core::posix::caution::{self, Trap, folder_of};
use shm_core::posix::{DIRECTORY, room};
use shm_core::{Errno, text};

use super::permission::Call;
use super::{Diagnosis, absence, descriptors_used_up, file_permission};
use crate::change::{Change, words, words_here};
use crate::mounts::Mount;
use crate::place::{Place, ShmMount};

/// The longest path that is shown in full, in bytes.
const SHOWN: usize = 512;

const CHOOSE_A_FILE: &str = "choose a regular file, or one that does not exist yet";

pub(super) fn failed(call: Call, path: &Path, size: u64) -> Diagnosis {
    let errno = call.errno;
    let posix = path.starts_with(DIRECTORY);
    if let Some(diagnosis) = descriptors_used_up(errno) {
        return diagnosis;
    }
    if let Some(name) = virtual_file_system(path) {
        return Diagnosis::new(
            format!(
                "{} is on {name}, a virtual file system whose files cannot hold shared memory",
                shown(path)
            ),
            "choose a file on a volume",
        );
    }
    match errno {
        Errno::ENOENT => absence::no_such_file(path, posix),
        Errno::EEXIST => Diagnosis::new(
            format!("{} already exists", shown(path)),
            "omit --create-new to write to it, or choose another name",
        ),
        Errno::EACCES | Errno::EPERM => denied(call, path, posix),
        Errno::EINVAL | Errno::EISDIR | Errno::ENXIO => {
            Diagnosis::new(not_regular(path), CHOOSE_A_FILE)
        }
        Errno::EFBIG => too_large(path, size),
        Errno::EDQUOT => Diagnosis::new(
            format!("{size} bytes exceed the disk quota on {}", shown(folder_of(path))),
            "give a smaller --size, or remove unused files",
        ),
        Errno::ENOSPC => no_space(path, posix, size),
        Errno::EROFS => read_only(path),
        Errno::ENAMETOOLONG => Diagnosis::new(
            format!(
                "the path has {} bytes; the kernel allows 4095, and 255 for each component",
                path.as_os_str().len()
            ),
            "use shorter names, or give a relative path from a closer directory (cd)",
        ),
        // The message of the call does not name the file.
        _ => Diagnosis::new(format!("{} cannot be used: {errno}", shown(path)), CHOOSE_A_FILE),
    }
}

/// Returns a path as one line that is safe on a terminal; cuts the middle out of a long path.
pub(super) fn shown(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.len() <= SHOWN {
        return text::escape_line(bytes);
    }
    let (start, end) = (&bytes[..SHOWN / 2], &bytes[bytes.len() - SHOWN / 2..]);
    format!("{}[...]{}", text::escape_line(start), text::escape_line(end))
}

/// Returns the name of the virtual file system that a file at this path is on, or would be on.
fn virtual_file_system(path: &Path) -> Option<&'static str> {
    caution::file_system_of(path).or_else(|| {
        let missing = fs::metadata(path).is_err();
        caution::file_system_of(folder_of(path)).filter(|_| missing)
    })
}

fn denied(call: Call, path: &Path, posix: bool) -> Diagnosis {
    match caution::trap(path) {
        Some(Trap::Link { path, target, owner }) => Diagnosis::new(
            format!(
                "{} is a symbolic link of user {owner} in a sticky, world-writable directory, so \
                 it is not followed",
                shown(&path)
            ),
            format!("if you trust it, give its target instead: {}", shown(&target)),
        ),
        Some(Trap::File { owner }) if !posix => Diagnosis::new(
            format!(
                "{} is a file of user {owner} in a sticky, world-writable directory, so it is not \
                 opened for writing",
                shown(path)
            ),
            "run this as that user, or choose a file in another directory",
        ),
        _ => file_permission::file(call, path),
    }
}

fn not_regular(path: &Path) -> String {
    let kind = |kind: FileType| match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() => "a character device",
        () if kind.is_block_device() => "a block device",
        () => "a symbolic link",
    };
    match fs::symlink_metadata(path).and_then(|link| {
        // shm_open follows no link, so report the link, not its target.
        if path.starts_with(DIRECTORY) { Ok(link) } else { fs::metadata(path) }
    }) {
        Ok(metadata) if !metadata.is_file() => {
            format!("{} is {}, not a regular file", shown(path), kind(metadata.file_type()))
        }
        _ => format!("{} is not a regular file", shown(path)),
    }
}

fn too_large(path: &Path, size: u64) -> Diagnosis {
    match getrlimit(Resource::Fsize).current.filter(|limit| *limit < size) {
        Some(limit) => Diagnosis::new(
            format!("{size} bytes exceed RLIMIT_FSIZE, {limit} bytes"),
            "give a smaller --size, or raise the limit: ulimit -f",
        ),
        None => Diagnosis::new(
            format!(
                "{size} bytes exceed the largest file that the file system of {} can hold",
                shown(folder_of(path))
            ),
            "give a smaller --size",
        ),
    }
}

fn no_space(path: &Path, posix: bool, size: u64) -> Diagnosis {
    let folder = folder_of(path);
    let room = File::open(folder).ok().and_then(|folder| room(folder.as_fd()));
    // A new file or object is made without a size.
    let no_inode = room.filter(|room| size == 0 && room.files > 0 && room.free_files == 0);
    if let Some(room) = no_inode {
        return Diagnosis::new(
            format!(
                "the file system of {} has no free inode: it can have {} files and directories",
                shown(folder),
                room.files
            ),
            format!(
                "remove {}, or mount it with more inodes (on a tmpfs: nr_inodes=NUMBER)",
                if posix {
                    format!("objects ({})", words(Change::Remove("posix"), None))
                } else {
                    "files there".to_owned()
                }
            ),
        );
    }
    let needed = match size {
        0 => "a new file does".to_owned(),
        size => format!("{size} bytes do"),
    };
    let mut cause = format!("{needed} not fit into {}", shown(folder));
    if let Some(room) = room {
        let _ = write!(cause, ", which has {} bytes free", room.free);
        if room.free >= size.max(room.block) {
            cause.push_str(
                " now: others freed some since, or the file system keeps some back (reserved \
                 blocks, a quota)",
            );
            return Diagnosis::new(
                cause,
                "try again, give a smaller --size, or look at its quotas",
            );
        }
    }
    Diagnosis::new(cause, format!("give a smaller --size, or {}", more_space(path)))
}

fn read_only(path: &Path) -> Diagnosis {
    let cause = format!("{} is on a read-only file system", shown(path));
    let hint = match Mount::of_path(folder_of(path)) {
        Ok(mount) if mount.mount_point == DIRECTORY => match Place::current().engine {
            None => format!("mount it for writing: mount -o remount,rw {DIRECTORY}"),
            engine => format!("mount it for writing; {}", words(Change::WritableShm, engine)),
        },
        Ok(_) if path.starts_with(DIRECTORY) => {
            format!("mount a tmpfs at {DIRECTORY}; {}", words_here(Change::PrivateShm))
        }
        _ => "choose a file on a writable volume".to_owned(),
    };
    Diagnosis::new(cause, hint)
}

/// Returns the way to more space for the file at `path`.
fn more_space(path: &Path) -> String {
    let Ok(mount) = Mount::of_path(folder_of(path)) else {
        return "free space on that file system".to_owned();
    };
    let point = text::escape_line(mount.mount_point.as_bytes());
    let is_tmpfs = mount.file_system == "tmpfs";
    if mount.mount_point != DIRECTORY {
        return if is_tmpfs {
            format!("enlarge the tmpfs at {point} (its mount option size=SIZE)")
        } else {
            format!("free space on the file system at {point}")
        };
    }
    let Place { engine, host_ipc, shm } = Place::current();
    match shm {
        ShmMount::Engine => format!("enlarge {DIRECTORY}; {}", words(Change::ShmSize, engine)),
        ShmMount::Tmpfs => {
            let remount = format!("mount -o remount,size=SIZE {DIRECTORY}");
            let tmpfs = words(Change::TmpfsSize, engine);
            let change = match engine {
                None => format!(": {remount}"),
                // The host's mount looks like that of --tmpfs.
                Some(_) if host_ipc => {
                    format!("; on the host, if it is the host's: {remount}; else {tmpfs}")
                }
                Some(_) => format!("; {tmpfs}"),
            };
            format!("enlarge the tmpfs at {DIRECTORY}, which no --shm-size made{change}")
        }
        ShmMount::Volume | ShmMount::Nothing => {
            format!("free space on the volume at {DIRECTORY}, which no --shm-size made")
        }
    }
}
