//! System V segments.

use crate::attachment::{Attachment, WritableAttachment};
use crate::error::Access;
use crate::origin::create_or_open;
use crate::stat::SegmentId;
use crate::sys::{self, CREATE_NEW, Control, READ, READ_WRITE};
use crate::{Errno, Error, Key, Origin, Result, Stat};

/// A segment of this process's IPC namespace, by its shmid.
///
/// A handle is a number: copying it costs nothing, and dropping it does not remove the segment. Use
/// [`RemoveOnDrop`] for a segment that must not outlive its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    id: SegmentId,
}

/// The size of the huge pages of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePage {
    /// The default of the machine, `Hugepagesize` in `/proc/meminfo`.
    Default,
    /// 2 MiB.
    Mib2,
    /// 1 GiB.
    Gib1,
}

impl HugePage {
    fn flags(self) -> i32 {
        libc::SHM_HUGETLB
            | match self {
                Self::Default => 0,
                Self::Mib2 => libc::MAP_HUGE_2MB,
                Self::Gib1 => libc::MAP_HUGE_1GB,
            }
    }
}

impl Segment {
    /// Finds the segment that `key` names, for reading. `shmget(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `ENOENT` if no segment has the key, `EACCES` if its mode forbids reading.
    pub fn open(key: Key) -> Result<Self> {
        get(Some(key), 0, READ)
    }

    /// Finds the segment with at least `size` bytes that `key` names, for reading and writing. A
    /// `size` of 0 accepts every segment. `shmget(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], as for [`open`](Self::open); `EINVAL` if it has fewer bytes.
    pub fn open_writable(key: Key, size: usize) -> Result<Self> {
        get(Some(key), size, READ_WRITE)
    }

    /// Like [`open`](Self::open), whatever the mode of the segment: enough for [`stat`](Self::stat)
    /// by a user with read permission, and for [`remove`](Self::remove) by the owner.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `ENOENT` if no segment has the key.
    pub fn find(key: Key) -> Result<Self> {
        get(Some(key), 0, 0)
    }

    /// Creates a segment of `size` zero bytes with the nine permission bits `mode`. The umask does
    /// not apply. `shmget(2)` with `IPC_CREAT | IPC_EXCL`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `EEXIST` if the key is taken; `EINVAL`, `ENOSPC` or `ENOMEM` if a limit is
    /// reached.
    pub fn create_new(key: Key, size: usize, mode: u32) -> Result<Self> {
        let mode = (mode & 0o777).cast_signed();
        get(Some(key), size, CREATE_NEW | mode)
    }

    /// Creates a segment of `size` zero bytes that has no key: other processes need its shmid.
    /// `shmget(2)` with `IPC_PRIVATE`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `EINVAL`, `ENOSPC` or `ENOMEM` if a limit is reached.
    pub fn create_private(size: usize, mode: u32) -> Result<Self> {
        get(None, size, CREATE_NEW | (mode & 0o777).cast_signed())
    }

    /// Creates a segment of huge pages, with a key or without. The kernel reserves whole pages now;
    /// the size of the segment stays `size`. `shmget(2)` with `SHM_HUGETLB`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `ENOMEM` if there are not enough huge pages (`vm.nr_hugepages`), `EPERM`
    /// unless the user is privileged or in the group `vm.hugetlb_shm_group`, `EINVAL` if the machine
    /// does not have pages of this size; as for [`create_new`](Self::create_new).
    pub fn create_huge(key: Option<Key>, size: usize, mode: u32, page: HugePage) -> Result<Self> {
        get(key, size, CREATE_NEW | page.flags() | (mode & 0o777).cast_signed())
    }

    /// Creates a segment, or opens the existing one if the key is taken. Returns which of the two
    /// it did: if several callers race, exactly one of them gets [`Origin::Created`].
    ///
    /// # Errors
    ///
    /// As for [`create_new`](Self::create_new) and [`open_writable`](Self::open_writable).
    pub fn open_or_create(key: Key, size: usize, mode: u32) -> Result<(Self, Origin)> {
        let create = || Self::create_new(key, size, mode);
        create_or_open(false, create, || Self::open_writable(key, size))
    }

    /// Returns the segment with a known shmid, such as one from a listing.
    #[must_use]
    pub const fn from_id(id: SegmentId) -> Self {
        Self { id }
    }

    /// Returns the shmid.
    #[must_use]
    pub const fn id(self) -> SegmentId {
        self.id
    }

    /// Returns the kernel's information about the segment. `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EINVAL` or `EIDRM` if it is gone, `EACCES` without read permission.
    pub fn stat(self) -> Result<Stat> {
        sys::shm_stat(self.id.0)
            .map(|ds| Stat::from_kernel(self.id.0, &ds))
            .map_err(|errno| self.control_error("IPC_STAT", errno))
    }

    /// Sets the owner, the group and the nine permission bits. `shmctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` unless the user is its owner, its creator or privileged; `EINVAL`
    /// or `EIDRM` if it is gone.
    pub fn set_permissions(self, uid: u32, gid: u32, mode: u32) -> Result<()> {
        sys::shm_set(self.id.0, uid, gid, mode)
            .map_err(|errno| self.control_error("IPC_SET", errno))
    }

    /// Marks the segment for destruction. The kernel frees its key now, and its memory at the last
    /// detach. `shmctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` unless the user is its owner, its creator or privileged;
    /// `EINVAL` or `EIDRM` if it is gone.
    pub fn remove(self) -> Result<()> {
        self.control("IPC_RMID", Control::Remove)
    }

    /// Prevents the kernel from swapping out the segment. `shmctl(SHM_LOCK)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` or `ENOMEM` if `RLIMIT_MEMLOCK` does not allow it.
    pub fn lock(self) -> Result<()> {
        self.control("SHM_LOCK", Control::Lock)
    }

    /// Undoes [`lock`](Self::lock). `shmctl(SHM_UNLOCK)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` without permission.
    pub fn unlock(self) -> Result<()> {
        self.control("SHM_UNLOCK", Control::Unlock)
    }

    /// Attaches the segment for reading. `shmat(2)` with `SHM_RDONLY`.
    ///
    /// # Errors
    ///
    /// [`Error::Attach`]: `EACCES`, `EINVAL` or `EIDRM`, `ENOMEM`; [`Error::Control`] if
    /// [`stat`](Self::stat) fails, which returns the size.
    pub fn attach(self) -> Result<Attachment> {
        Attachment::new(self, libc::SHM_RDONLY)
    }

    /// Attaches the segment for reading and writing. `shmat(2)`.
    ///
    /// # Errors
    ///
    /// As for [`attach`](Self::attach).
    pub fn attach_writable(self) -> Result<WritableAttachment> {
        WritableAttachment::new(self)
    }

    fn control(self, name: &'static str, command: Control) -> Result<()> {
        sys::shm_control(self.id.0, command).map_err(|errno| self.control_error(name, errno))
    }

    fn control_error(self, command: &'static str, errno: Errno) -> Error {
        Error::Control { id: self.id, command, errno }
    }
}

fn get(key: Option<Key>, size: usize, flags: i32) -> Result<Segment> {
    sys::shmget(key.map_or(libc::IPC_PRIVATE, Key::raw), size, flags)
        .map(|id| Segment { id: SegmentId(id) })
        .map_err(|errno| {
            let (access, huge) = (Access::of_get(flags), flags & libc::SHM_HUGETLB != 0);
            Error::Get { key, size, access, huge, errno }
        })
}

/// Removes a segment on drop, for a segment that must not outlive its process.
#[derive(Debug)]
pub struct RemoveOnDrop(pub Segment);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // The segment may be gone already. Drop cannot report other errors.
        let _ = self.0.remove();
    }
}
