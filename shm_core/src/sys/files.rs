//! The calls for POSIX objects, files and their file systems.

use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, effective_uid};
use crate::Errno;

/// `shm_open(3)`.
pub(crate) fn shm_open(name: &CStr, flags: i32, mode: libc::mode_t) -> Result<File, Errno> {
    // SAFETY: `name` ends with a NUL and is live.
    let fd = check(unsafe { libc::shm_open(name.as_ptr(), flags, mode) })?;
    // SAFETY: the call just returned this descriptor, so nothing else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `shm_unlink(3)`.
pub(crate) fn shm_unlink(name: &CStr) -> Result<(), Errno> {
    // SAFETY: `name` ends with a NUL and is live.
    check(unsafe { libc::shm_unlink(name.as_ptr()) }).map(drop)
}

/// `posix_fallocate(3)`: allocates space for the bytes of `range`.
pub(crate) fn allocate(file: &File, range: Range<u64>) -> Result<(), Errno> {
    let length = range.end.saturating_sub(range.start);
    let (start, length) = (offset(range.start)?, offset(length)?);
    // SAFETY: the descriptor is open while `file` is borrowed. The other arguments are integers.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), start, length) } {
        0 => Ok(()),
        number => Err(Errno::from_raw(number)),
    }
}

fn offset(number: u64) -> Result<libc::off_t, Errno> {
    libc::off_t::try_from(number).map_err(|_| Errno::EFBIG)
}

/// The free space in a file system for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The free space in bytes.
    pub free: u64,
    /// The unit of allocation in bytes.
    pub block: u64,
    /// How many files the file system can have, or 0 without a limit.
    pub files: u64,
    /// How many more files it can have.
    pub free_files: u64,
}

/// Returns the free space in the file system of an open file, or `None` if it is unlimited or
/// unknown. `fstatvfs(3)`.
#[must_use]
pub fn room(file: BorrowedFd) -> Option<Room> {
    let mut buffer = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the descriptor is open while it is borrowed, the buffer is a live statvfs.
    check(unsafe { libc::fstatvfs(file.as_raw_fd(), buffer.as_mut_ptr()) }).ok()?;
    // SAFETY: the buffer was zeroed and then filled; it contains only integers.
    let stat = unsafe { buffer.assume_init() };
    if stat.f_blocks == 0 || stat.f_frsize == 0 {
        return None;
    }
    // Some blocks are reserved for root.
    let blocks = if effective_uid() == 0 { stat.f_bfree } else { stat.f_bavail };
    Some(Room {
        free: blocks.saturating_mul(stat.f_frsize),
        block: stat.f_frsize,
        files: stat.f_files,
        free_files: stat.f_favail,
    })
}

/// Returns the type of an open file's file system: the 32 bits of `f_type` of `fstatfs(2)`.
pub(crate) fn file_system(file: BorrowedFd) -> Result<u32, Errno> {
    let mut buffer = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the descriptor is open while it is borrowed, the buffer is a live statfs.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), buffer.as_mut_ptr()) })?;
    // SAFETY: the buffer was zeroed and then filled; it contains only integers.
    let stat = unsafe { buffer.assume_init() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "libc's type is wider, and signed, on some machines"
    )]
    Ok(stat.f_type as u32)
}
