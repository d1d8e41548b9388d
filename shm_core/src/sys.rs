//! One function for each system call, and the constants and structures that libc lacks.
//!
//! Every function that is not `unsafe` is safe to call with any arguments; the others document what
//! they require. The functions do not interpret errors: they return the [`Errno`].
#![expect(unsafe_code, reason = "system calls; each block has a SAFETY comment")]

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
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

/// `shm_perm.mode`: the segment is marked for destruction at its last detach (`linux/shm.h`).
pub(crate) const SHM_DEST: u32 = 0o1000;
/// `shm_perm.mode`: the pages of the segment are not swapped out (`linux/shm.h`).
pub(crate) const SHM_LOCKED: u32 = 0o2000;

/// Permission to read, for whichever class of user the caller is in. For the calls of System V.
pub(crate) const READ: i32 = 0o444;
/// Permission to read and write, likewise.
pub(crate) const READ_WRITE: i32 = 0o666;
/// Fails if the key is in use.
pub(crate) const CREATE_NEW: i32 = libc::IPC_CREAT | libc::IPC_EXCL;

const SHM_STAT: i32 = 13;
const SHM_INFO: i32 = 14;
const SHM_STAT_ANY: i32 = 15;

/// `NS_GET_ID` of `linux/nsfs.h`: `_IOR(0xb7, 13, __u64)`, since Linux 6.18.
const NS_GET_ID: u64 = 0x8008_b70d;
/// `NS_GET_USERNS` of `linux/nsfs.h`: `_IO(0xb7, 1)`.
const NS_GET_USERNS: u64 = 0xb701;

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

// The kernel writes as many bytes as its structures have, so these must not be shorter.
const _: () = assert!(size_of::<ShmInfo64>() == 9 * size_of::<libc::c_ulong>());
const _: () = assert!(size_of::<ShmInfo>() == 6 * size_of::<libc::c_ulong>());

fn check(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result == -1 { Err(Errno::last()) } else { Ok(result) }
}

/// `shmget(2)`.
pub(crate) fn shmget(key: i32, size: usize, flags: i32) -> Result<i32, Errno> {
    // SAFETY: shmget takes three integers and accesses no memory of this process.
    check(unsafe { libc::shmget(key, size, flags) })
}

/// `shmat(2)` at an address that the kernel chooses.
pub(crate) fn shmat(id: i32, flags: i32) -> Result<NonNull<u8>, Errno> {
    // SAFETY: with a null address and without SHM_REMAP, the kernel chooses an unused range. So the
    // call cannot replace an existing mapping.
    let address = unsafe { libc::shmat(id, ptr::null(), flags & !libc::SHM_REMAP) };
    if address.addr() == usize::MAX {
        return Err(Errno::last());
    }
    // The kernel does not choose address 0 for a mapping (mmap_min_addr).
    NonNull::new(address.cast()).ok_or(Errno::EFAULT)
}

/// `shmdt(2)`.
///
/// # Safety
///
/// `address` came from [`shmat`], has not been detached since, and nothing accesses the mapping
/// during or after the call.
pub(crate) unsafe fn shmdt(address: NonNull<u8>) {
    // SAFETY: the caller guarantees a live attachment that nothing accesses any more.
    let result = unsafe { libc::shmdt(address.as_ptr().cast()) };
    debug_assert_eq!(result, 0, "shmdt failed: the address is not an attachment");
}

/// `mmap(2)` of the first `length` bytes of a file, shared, at an address that the kernel chooses.
pub(crate) fn mmap(file: BorrowedFd, length: usize, write: bool) -> Result<NonNull<u8>, Errno> {
    let access = libc::PROT_READ | if write { libc::PROT_WRITE } else { 0 };
    let file = file.as_raw_fd();
    // SAFETY: with a null address and without MAP_FIXED the kernel picks an unused range, so the call
    // cannot replace a mapping that other code relies on.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, access, libc::MAP_SHARED, file, 0) };
    if address == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // The kernel maps nothing at address 0 unless asked to (mmap_min_addr).
    NonNull::new(address.cast()).ok_or(Errno::EFAULT)
}

/// `munmap(2)`.
///
/// # Safety
///
/// `address` came from [`mmap`] with this length, is still mapped, and nothing accesses the mapping
/// during or after the call.
pub(crate) unsafe fn munmap(address: NonNull<u8>, length: usize) {
    // SAFETY: the caller guarantees that the mapping exists and that nothing uses it any more.
    let result = unsafe { libc::munmap(address.as_ptr().cast(), length) };
    debug_assert_eq!(result, 0, "munmap fails only for a wrong address or length");
}

/// `shmctl(2)` with a command that fills a `T` for an id or index. Also returns the call's value.
///
/// # Safety
///
/// `T` is a plain structure of integers, at least as large as what `command` writes.
unsafe fn shmctl_fill<T>(id: i32, command: i32) -> Result<(i32, T), Errno> {
    let mut buffer = MaybeUninit::<T>::zeroed();
    // SAFETY: the buffer is live. The caller guarantees that it has room for the bytes written.
    let value = check(unsafe { libc::shmctl(id, command, buffer.as_mut_ptr().cast()) })?;
    // SAFETY: the buffer was zeroed and then filled; every bit pattern is valid for integers.
    Ok((value, unsafe { buffer.assume_init() }))
}

/// `shmctl(IPC_STAT)`.
pub(crate) fn shm_stat(id: i32) -> Result<libc::shmid_ds, Errno> {
    // SAFETY: IPC_STAT fills a shmid_ds, a structure of integers, which libc declares completely.
    unsafe { shmctl_fill(id, libc::IPC_STAT) }.map(|(_, stat)| stat)
}

/// `shmctl(SHM_STAT_ANY)`, or `SHM_STAT` before Linux 4.17: the id and the segment at an index.
pub(crate) fn shm_stat_index(index: i32) -> Result<(i32, libc::shmid_ds), Errno> {
    // SAFETY: as for IPC_STAT.
    match unsafe { shmctl_fill(index, SHM_STAT_ANY) } {
        // An old kernel does not have the command. Both commands return EINVAL for an empty index.
        // SAFETY: as for IPC_STAT.
        Err(Errno::EINVAL) => unsafe { shmctl_fill(index, SHM_STAT) },
        answer => answer,
    }
}

/// `shmctl(IPC_INFO)`.
pub(crate) fn ipc_info() -> Result<ShmInfo64, Errno> {
    // SAFETY: IPC_INFO fills a shminfo64; the size of ShmInfo64 is asserted above.
    unsafe { shmctl_fill(0, libc::IPC_INFO) }.map(|(_, info)| info)
}

/// `shmctl(SHM_INFO)`, and the highest index in use.
pub(crate) fn shm_info() -> Result<(i32, ShmInfo), Errno> {
    // SAFETY: SHM_INFO fills a shm_info; the size of ShmInfo is asserted above.
    unsafe { shmctl_fill(0, SHM_INFO) }
}

/// `read(2)` into memory that other threads and processes can access meanwhile; with `at`,
/// `pread(2)` from this offset.
///
/// # Safety
///
/// `length` bytes from `address` on are mapped for writing throughout the call. Only references to
/// atomics cover them.
pub(crate) unsafe fn read(
    source: BorrowedFd,
    at: Option<u64>,
    address: NonNull<u8>,
    length: usize,
) -> Result<usize, Errno> {
    let (source, address) = (source.as_raw_fd(), address.as_ptr().cast());
    let count = match at.map(libc::off_t::try_from) {
        // SAFETY: the caller guarantees the memory; the descriptor is open while it is borrowed.
        None => unsafe { libc::read(source, address, length) },
        // SAFETY: as for read.
        Some(Ok(offset)) => unsafe { libc::pread(source, address, length, offset) },
        Some(Err(_)) => return Err(Errno::EOVERFLOW),
    };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// `write(2)` from memory that other threads and processes can access meanwhile.
///
/// # Safety
///
/// `length` bytes from `address` on are mapped throughout the call.
pub(crate) unsafe fn write(
    target: BorrowedFd,
    address: NonNull<u8>,
    length: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller guarantees the memory; the descriptor is open while it is borrowed.
    let count = unsafe { libc::write(target.as_raw_fd(), address.as_ptr().cast(), length) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// `read(2)`, or `pread(2)`, into a buffer.
pub(crate) fn read_bytes(
    source: BorrowedFd,
    at: Option<u64>,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    // SAFETY: the buffer is live and writable. Nothing else accesses it while it is borrowed.
    unsafe { read(source, at, NonNull::from(&mut *buffer).cast(), buffer.len()) }
}

/// `write(2)` from a buffer.
pub(crate) fn write_bytes(target: BorrowedFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the bytes are live while they are borrowed, and the kernel only reads them.
    unsafe { write(target, NonNull::from(bytes).cast(), bytes.len()) }
}

/// `lseek(2)` to an offset from the start.
pub(crate) fn seek(file: BorrowedFd, offset: u64) -> Result<(), Errno> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: lseek takes plain numbers; the descriptor is open while it is borrowed.
    let moved = unsafe { libc::lseek(file.as_raw_fd(), offset, libc::SEEK_SET) };
    if moved == -1 { Err(Errno::last()) } else { Ok(()) }
}

/// Advice about the pages of a mapping, `madvise(2)`.
#[derive(Clone, Copy, Debug)]
pub enum Advice {
    /// Map the pages for reading now. Since Linux 5.14.
    PopulateForReading = libc::MADV_POPULATE_READ as isize,
    /// Map the pages for writing now. Since Linux 5.14.
    PopulateForWriting = libc::MADV_POPULATE_WRITE as isize,
    /// Use huge pages, because all pages will be written. Requires that the machine allows them for
    /// shared memory (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`). For a part of an attachment
    /// the kernel splits the mapping, and counts each part as an attachment.
    HugePages = libc::MADV_HUGEPAGE as isize,
    /// Unmap the pages until the next access. The bytes of shared memory stay.
    Release = libc::MADV_DONTNEED as isize,
}

/// `madvise(2)` for the pages of a range. Does not report failures.
///
/// # Safety
///
/// `length` bytes from `address` on are mapped throughout the call. The mapping is shared:
/// releasing private pages would lose their bytes.
pub(crate) unsafe fn advise(address: NonNull<u8>, length: usize, advice: Advice) {
    // madvise requires the start of a page. A mapping consists of whole pages.
    let before = address.addr().get() % usize::try_from(page_size()).unwrap_or(4096);
    let start = address.as_ptr().wrapping_sub(before);
    // SAFETY: the caller guarantees the range. No advice of this type changes a byte of shared
    // memory or ends its mapping: a populated page is the page that a first access would allocate,
    // and a released page is mapped again at its next access.
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
    // SAFETY: these three commands ignore the buffer. After the removal of a segment, its mappings
    // stay intact until they are detached, in this process too.
    check(unsafe { libc::shmctl(id, command, ptr::null_mut()) }).map(drop)
}

/// `shmctl(IPC_SET)`: the owner, the group and the permission bits.
pub(crate) fn shm_set(id: i32, uid: u32, gid: u32, mode: u32) -> Result<(), Errno> {
    // SAFETY: a structure of integers, for which zero is a value. The kernel ignores its other fields.
    let mut ds: libc::shmid_ds = unsafe { MaybeUninit::zeroed().assume_init() };
    ds.shm_perm.uid = uid;
    ds.shm_perm.gid = gid;
    // The width of `mode` differs between C libraries. The nine bits always fit.
    ds.shm_perm.mode = (mode & 0o777).try_into().unwrap_or_default();
    // SAFETY: IPC_SET reads a shmid_ds, which is live, and writes nothing to this process.
    check(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut ds) }).map(drop)
}

/// `ioctl(NS_GET_ID)`: the id of an open namespace. The kernel never reuses it.
pub(crate) fn namespace_id(namespace: &File) -> Result<u64, Errno> {
    let mut id = 0_u64;
    // SAFETY: NS_GET_ID writes one u64 through the pointer, which is live. A kernel or a file that
    // does not support the request writes nothing and fails.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_ID as _, &raw mut id) })?;
    Ok(id)
}

/// `ioctl(NS_GET_USERNS)`: opens the user namespace that owns an open namespace. Fails with `EPERM`
/// unless it is the user namespace of this process or a descendant.
pub(crate) fn owning_user_namespace(namespace: &File) -> Result<File, Errno> {
    // SAFETY: the request takes no argument and accesses no memory of this process.
    let fd = check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS as _) })?;
    // SAFETY: the call just returned the descriptor, so nothing else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Returns the size of a page in bytes. `sysconf(3)`.
pub(crate) fn page_size() -> u64 {
    // SAFETY: sysconf takes an integer and accesses no memory of the caller.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// Returns the effective user id. `geteuid(2)`.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid takes no arguments and always succeeds.
    unsafe { libc::geteuid() }
}
