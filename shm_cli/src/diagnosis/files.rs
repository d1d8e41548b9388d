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
use super::{Diagnosis, descriptors_used_up, file_permission};

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
        Errno::ENOENT if posix && !Path::new(DIRECTORY).is_dir() => Diagnosis::new(
            format!("{DIRECTORY} does not exist"),
            "run the container without --ipc=none, or mount a tmpfs there: --tmpfs /dev/shm",
        ),
        Errno::ENOENT if !posix && !folder_of(path).is_dir() => Diagnosis::new(
            format!("the directory of {} does not exist", shown(path)),
            "create the directory, or mount the volume that contains it",
        ),
        Errno::ENOENT if path.is_symlink() => Diagnosis::new(
            format!("{} is a dangling symbolic link", shown(path)),
            "give its target instead, or remove the link first (--remove)",
        ),
        Errno::ENOENT => Diagnosis::new(
            format!("{} does not exist", shown(path)),
            "write it first, or run this where the writer's /dev/shm (--posix) or volume (--file) \
             is mounted",
        ),
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
        Errno::ENOSPC => no_space(path, size),
        Errno::EROFS => Diagnosis::new(
            format!("{} is on a read-only file system", shown(path)),
            "choose a file on a writable volume",
        ),
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

fn no_space(path: &Path, size: u64) -> Diagnosis {
    let folder = folder_of(path);
    let room = File::open(folder).ok().and_then(|folder| room(folder.as_fd()));
    let mut cause = format!("{size} bytes do not fit into {}", shown(folder));
    if let Some(room) = room {
        let _ = write!(cause, ", which has {} bytes free", room.free);
    }
    Diagnosis::new(
        cause,
        if path.starts_with(DIRECTORY) {
            "give a smaller --size, or enlarge the container's /dev/shm: --shm-size"
        } else {
            "give a smaller --size, or free space on that file system"
        },
    )
}
