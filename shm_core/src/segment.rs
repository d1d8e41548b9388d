//! System V segments.

use crate::attachment::{Attachment, WritableAttachment};
use crate::stat::SegmentId;
use crate::sys::{self, Control};
use crate::{Errno, Error, Key, Origin, Result, Stat};

/// A segment of this process's IPC namespace, by its shmid.
///
/// A handle is a number: copying it costs nothing and dropping it does nothing, for outliving the
/// processes that use it is what a segment is for. See [`RemoveOnDrop`] for one that shall not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    id: SegmentId,
}

/// Read and write, for whichever class of user the caller is in.
const READ_WRITE: i32 = 0o666;
/// Read, for whichever class of user the caller is in.
const READ: i32 = 0o444;

impl Segment {
    /// Finds the segment that `key` names and asks for the right to read it. `shmget(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `ENOENT` where no segment has the key, `EACCES` where its mode forbids it.
    pub fn open(key: Key) -> Result<Self> {
        get(key, 0, READ)
    }

    /// Finds the segment that `key` names and asks for the right to read and write at least
    /// `size` bytes of it; 0 takes whatever size it has. `shmget(2)`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`], as for [`open`](Self::open); `EINVAL` where it has fewer bytes.
    pub fn open_writable(key: Key, size: usize) -> Result<Self> {
        get(key, size, READ_WRITE)
    }

    /// Finds the segment that `key` names, whatever its mode: enough for [`stat`](Self::stat) by
    /// somebody who may read it and for [`remove`](Self::remove) by its owner.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `ENOENT` where no segment has the key.
    pub fn find(key: Key) -> Result<Self> {
        get(key, 0, 0)
    }

    /// Makes a segment of `size` zero bytes with the nine permission bits `mode`; the umask does
    /// not apply. `shmget(2)` with `IPC_CREAT | IPC_EXCL`.
    ///
    /// # Errors
    ///
    /// [`Error::Get`]: `EEXIST` where the key is taken; `EINVAL`, `ENOSPC` or `ENOMEM` where a
    /// limit is met.
    pub fn create_new(key: Key, size: usize, mode: u32) -> Result<Self> {
        let mode = (mode & 0o777).cast_signed();
        get(key, size, libc::IPC_CREAT | libc::IPC_EXCL | mode)
    }

    /// [`create_new`](Self::create_new), or [`open_writable`](Self::open_writable) where the key
    /// is taken, and says which: of many callers at once exactly one is told [`Origin::Created`].
    ///
    /// # Errors
    ///
    /// [`Error::Get`], as for those two.
    pub fn open_or_create(key: Key, size: usize, mode: u32) -> Result<(Self, Origin)> {
        loop {
            match Self::create_new(key, size, mode) {
                Ok(segment) => return Ok((segment, Origin::Created)),
                Err(Error::Get { errno: Errno::EEXIST, .. }) => {}
                Err(error) => return Err(error),
            }
            match Self::open_writable(key, size) {
                Ok(segment) => return Ok((segment, Origin::Opened)),
                // Removed between the two calls: there is a segment to be made again.
                Err(Error::Get { errno: Errno::ENOENT, .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The segment with a shmid that was found elsewhere, such as in a listing.
    #[must_use]
    pub const fn from_id(id: SegmentId) -> Self {
        Self { id }
    }

    /// The shmid.
    #[must_use]
    pub const fn id(self) -> SegmentId {
        self.id
    }

    /// What the kernel knows of it. `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EINVAL` or `EIDRM` where it is gone, `EACCES` without the right to
    /// read it.
    pub fn stat(self) -> Result<Stat> {
        sys::shm_stat(self.id.0)
            .map(|ds| Stat::from_kernel(self.id.0, &ds))
            .map_err(|errno| self.control_error("IPC_STAT", errno))
    }

    /// Marks it for destruction: its key is free at once, its memory at the last detach.
    /// `shmctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` for whoever is neither its owner, its creator nor privileged;
    /// `EINVAL` or `EIDRM` where it is gone.
    pub fn remove(self) -> Result<()> {
        self.control("IPC_RMID", Control::Remove)
    }

    /// Keeps its pages from being swapped out. `shmctl(SHM_LOCK)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` or `ENOMEM` where `RLIMIT_MEMLOCK` does not allow it.
    pub fn lock(self) -> Result<()> {
        self.control("SHM_LOCK", Control::Lock)
    }

    /// Takes [`lock`](Self::lock) back. `shmctl(SHM_UNLOCK)`.
    ///
    /// # Errors
    ///
    /// [`Error::Control`]: `EPERM` for whoever may not.
    pub fn unlock(self) -> Result<()> {
        self.control("SHM_UNLOCK", Control::Unlock)
    }

    /// Maps it for reading. `shmat(2)` with `SHM_RDONLY`.
    ///
    /// # Errors
    ///
    /// [`Error::Attach`]: `EACCES`, `EINVAL` or `EIDRM`, `ENOMEM`; [`Error::Control`] where its
    /// size cannot be had.
    pub fn attach(self) -> Result<Attachment> {
        Attachment::new(self, libc::SHM_RDONLY)
    }

    /// Maps it for reading and writing. `shmat(2)`.
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

fn get(key: Key, size: usize, flags: i32) -> Result<Segment> {
    sys::shmget(key.raw(), size, flags)
        .map(|id| Segment { id: SegmentId(id) })
        .map_err(|errno| Error::Get { key, size, create: flags & libc::IPC_CREAT != 0, errno })
}

/// Removes a segment when it goes out of scope, for segments that belong to one process after all.
#[derive(Debug)]
pub struct RemoveOnDrop(pub Segment);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // Already gone is what was wanted; anything else cannot be told from here.
        let _ = self.0.remove();
    }
}
