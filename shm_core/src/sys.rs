//! The system calls, one function each, and the constants and structures that libc lacks.
//!
//! Every function here is safe to call with any arguments, except those that are `unsafe` and say
//! what they ask for. Nothing is interpreted: errors are the bare [`Errno`].
#![expect(unsafe_code, reason = "system calls; each block argues for itself")]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

use crate::Errno;

mod files;
mod ipc_objects;
mod signals;
mod start;

pub(crate) use files::*;
pub use files::{Room, room};
pub(crate) use ipc_objects::*;
pub(crate) use signals::*;
pub use start::before_main;
pub(crate) use start::restore_broken_pipe_signal;

/// `shm_perm.mode`: removed, and gone with its last detach (`linux/shm.h`).
pub(crate) const SHM_DEST: u32 = 0o1000;
/// `shm_perm.mode`: its pages are not swapped out (`linux/shm.h`).
pub(crate) const SHM_LOCKED: u32 = 0o2000;

const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;
const SHM_STAT_ANY: i32 = 15;

/// `NS_GET_ID` of `linux/nsfs.h`: `_IOR(0xb7, 13, __u64)`, since Linux 6.18.
const NS_GET_ID: u64 = 0x8008_b70d;

/// `struct shminfo64` of `linux/shm.h`, which `shmctl(IPC_INFO)` fills.
#[repr(C)]
pub(crate) struct ShmInfo64 {
    pub(crate) shmmax: libc::c_ulong,
    pub(crate) shmmin: libc::c_ulong,
    pub(crate) shmmni: libc::c_ulong,
    shmseg: libc::c_ulong,
    pub(crate) shmall: libc::c_ulong,
    unused: [libc::c_ulong; 4],
}

/// `struct shm_info` of `linux/shm.h`, which `shmctl(SHM_INFO)` fills.
#[repr(C)]
pub(crate) struct ShmInfo {
    pub(crate) used_ids: libc::c_int,
    pub(crate) shm_tot: libc::c_ulong,
    pub(crate) shm_rss: libc::c_ulong,
    pub(crate) shm_swp: libc::c_ulong,
    swap_attempts: libc::c_ulong,
    swap_successes: libc::c_ulong,
}

// The kernel writes as many bytes as its own structures have; ours must not be shorter.
const _: () = assert!(size_of::<ShmInfo64>() == 9 * size_of::<libc::c_ulong>());
const _: () = assert!(size_of::<ShmInfo>() == 6 * size_of::<libc::c_ulong>());

fn check(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// `shmget(2)`.
pub(crate) fn shmget(key: i32, size: usize, flags: i32) -> Result<i32, Errno> {
    // SAFETY: shmget takes three integers and touches no memory of this process.
    check(unsafe { libc::shmget(key, size, flags) })
}

/// `shmat(2)` at an address that the kernel chooses.
pub(crate) fn shmat(id: i32, flags: i32) -> Result<NonNull<u8>, Errno> {
    // SAFETY: with a null address and without SHM_REMAP the kernel picks an unused range, so the
    // call cannot replace a mapping that something else relies on.
    let address = unsafe { libc::shmat(id, ptr::null(), flags & !libc::SHM_REMAP) };
    if address.addr() == usize::MAX {
        return Err(Errno::last());
    }
    // The kernel maps nothing at address 0 unless asked to (mmap_min_addr).
    NonNull::new(address.cast()).ok_or(Errno::EFAULT)
}

/// `shmdt(2)`.
///
/// # Safety
///
/// `address` came from [`shmat`], has not been detached since, and nothing accesses the mapping
/// during or after the call.
pub(crate) unsafe fn shmdt(address: NonNull<u8>) {
    // SAFETY: the caller vouches that the mapping is a live attachment which nobody uses any more.
    let result = unsafe { libc::shmdt(address.as_ptr().cast()) };
    debug_assert_eq!(result, 0, "shmdt fails only for an address that is not an attachment");
}

/// `shmctl(2)` with a command that fills a `T` from an id or an index; returns the call's value too.
///
/// # Safety
///
/// `T` is a plain structure of integers, at least as large as what `command` writes.
unsafe fn shmctl_fill<T>(id: i32, command: i32) -> Result<(i32, T), Errno> {
    let mut buffer = MaybeUninit::<T>::zeroed();
    // SAFETY: the buffer is live and, as the caller vouches, large enough for what the kernel writes.
    let value = check(unsafe { libc::shmctl(id, command, buffer.as_mut_ptr().cast()) })?;
    // SAFETY: it was zeroed and then filled; every bit pattern is valid for integers.
    Ok((value, unsafe { buffer.assume_init() }))
}

/// `shmctl(IPC_STAT)`.
pub(crate) fn shm_stat(id: i32) -> Result<libc::shmid_ds, Errno> {
    // SAFETY: IPC_STAT fills a shmid_ds, a structure of integers that libc declares in full.
    unsafe { shmctl_fill(id, libc::IPC_STAT) }.map(|(_, stat)| stat)
}

/// `shmctl(SHM_STAT_ANY)`, or `SHM_STAT` before Linux 4.17: the segment at an index, and its id.
pub(crate) fn shm_stat_index(index: i32) -> Result<(i32, libc::shmid_ds), Errno> {
    // SAFETY: as for IPC_STAT.
    match unsafe { shmctl_fill(index, SHM_STAT_ANY) } {
        // An old kernel does not know the command; an empty index is EINVAL from both.
        // SAFETY: as for IPC_STAT.
        Err(Errno::EINVAL) => unsafe { shmctl_fill(index, SHM_STAT) },
        answer => answer,
    }
}

/// `shmctl(IPC_INFO)`.
pub(crate) fn ipc_info() -> Result<ShmInfo64, Errno> {
    // SAFETY: IPC_INFO fills a shminfo64; the size of ours is asserted above.
    unsafe { shmctl_fill(0, libc::IPC_INFO) }.map(|(_, info)| info)
}

/// `shmctl(SHM_INFO)`, and the highest index in use.
pub(crate) fn shm_info() -> Result<(i32, ShmInfo), Errno> {
    // SAFETY: SHM_INFO fills a shm_info; the size of ours is asserted above.
    unsafe { shmctl_fill(0, SHM_INFO) }
}

/// `read(2)` into memory that others may access meanwhile; `pread(2)` where it is said at which place
/// of a file.
///
/// # Safety
///
/// `length` bytes from `address` on are mapped for writing throughout the call, and no reference
/// but one to atomics covers them.
pub(crate) unsafe fn read(
    source: BorrowedFd,
    at: Option<u64>,
    address: NonNull<u8>,
    length: usize,
) -> Result<usize, Errno> {
    let (source, address) = (source.as_raw_fd(), address.as_ptr().cast());
    let count = match at.map(libc::off_t::try_from) {
        // SAFETY: the caller vouches for the memory; the descriptor is open while it is borrowed.
        None => unsafe { libc::read(source, address, length) },
        // SAFETY: as for read.
        Some(Ok(place)) => unsafe { libc::pread(source, address, length, place) },
        Some(Err(_)) => return Err(Errno::EOVERFLOW),
    };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// `write(2)` out of memory that others may access meanwhile.
///
/// # Safety
///
/// `length` bytes from `address` on are mapped throughout the call.
pub(crate) unsafe fn write(
    target: BorrowedFd,
    address: NonNull<u8>,
    length: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller vouches for the memory; the descriptor is open while it is borrowed.
    let count = unsafe { libc::write(target.as_raw_fd(), address.as_ptr().cast(), length) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// `read(2)`, or `pread(2)`, into a buffer.
pub(crate) fn read_bytes(
    source: BorrowedFd,
    at: Option<u64>,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    // SAFETY: the buffer is live and writable, and nobody else's while it is borrowed.
    unsafe { read(source, at, NonNull::from(&mut *buffer).cast(), buffer.len()) }
}

/// `write(2)` out of a buffer.
pub(crate) fn write_bytes(target: BorrowedFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the bytes are live while they are borrowed, and the kernel only reads them.
    unsafe { write(target, NonNull::from(bytes).cast(), bytes.len()) }
}

/// `lseek(2)` to a place from the start.
pub(crate) fn seek(file: BorrowedFd, place: u64) -> Result<(), Errno> {
    let place = libc::off_t::try_from(place).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: lseek takes plain numbers; the descriptor is open while it is borrowed.
    let moved = unsafe { libc::lseek(file.as_raw_fd(), place, libc::SEEK_SET) };
    if moved == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// What is about to happen to the pages of a mapping, `madvise(2)`.
#[derive(Clone, Copy, Debug)]
pub enum Advice {
    /// They are read, since Linux 5.14.
    PopulateForReading = libc::MADV_POPULATE_READ as isize,
    /// They are written, since Linux 5.14.
    PopulateForWriting = libc::MADV_POPULATE_WRITE as isize,
    /// All of them are written: huge ones are better, where the machine allows them for shared memory
    /// (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`).
    HugePages = libc::MADV_HUGEPAGE as isize,
    /// Nothing for now. The bytes of a segment stay.
    Release = libc::MADV_DONTNEED as isize,
}

/// `madvise(2)` for the pages of a range. Whether it was followed is not told.
///
/// # Safety
///
/// `length` bytes from `address` on are mapped throughout the call, and shared: releasing private
/// pages would lose what is in them.
pub(crate) unsafe fn advise(address: NonNull<u8>, length: usize, advice: Advice) {
    // The start of a page; every mapping has whole ones.
    let before = address.addr().get() % usize::try_from(page_size()).unwrap_or(4096);
    let start = address.as_ptr().wrapping_sub(before);
    // SAFETY: no such advice changes a byte of shared memory or unmaps it: pages that are made are the
    // ones that a first access would make, and those that are released come back with the next one.
    // The caller vouches for the range.
    unsafe { libc::madvise(start.cast(), length + before, advice as libc::c_int) };
}

/// A command of `shmctl(2)` that takes no buffer.
#[derive(Clone, Copy)]
pub(crate) enum Control {
    Remove,
    Lock,
    Unlock,
}

/// `shmctl(IPC_RMID)`, `shmctl(SHM_LOCK)` or `shmctl(SHM_UNLOCK)`.
pub(crate) fn shm_control(id: i32, command: Control) -> Result<(), Errno> {
    let command = match command {
        Control::Remove => libc::IPC_RMID,
        Control::Lock => libc::SHM_LOCK,
        Control::Unlock => libc::SHM_UNLOCK,
    };
    // SAFETY: these three commands ignore the buffer. Removing a segment leaves mappings of it
    // intact until they are detached, in this process too.
    check(unsafe { libc::shmctl(id, command, ptr::null_mut()) }).map(drop)
}

/// `ioctl(NS_GET_ID)`: the id of the namespace behind a descriptor, never used twice.
pub(crate) fn namespace_id(namespace: &File) -> Result<u64, Errno> {
    let mut id = 0_u64;
    // SAFETY: NS_GET_ID writes one u64 through the pointer, which is live; a kernel or a file
    // that does not know the request writes nothing and fails.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_ID as _, &raw mut id) })?;
    Ok(id)
}

/// The size of a page in bytes.
pub(crate) fn page_size() -> u64 {
    // SAFETY: sysconf takes an integer and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// The effective user id.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid takes nothing and always succeeds.
    unsafe { libc::geteuid() }
}
