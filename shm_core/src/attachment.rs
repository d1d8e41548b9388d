//! Mapped segments.
//!
//! Other processes may write to a segment at any moment, and so may other threads and other
//! attachments of this one. No `&[u8]` of it is ever formed: every byte is an atomic, loaded and
//! stored with relaxed ordering, so that racing accesses mix old and new bytes and do nothing worse.
#![expect(unsafe_code, reason = "views of the mapping; each block argues for itself")]

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::sys;
use crate::{Error, Result, Segment};

/// A segment mapped for reading; detached when dropped.
#[derive(Debug)]
pub struct Attachment {
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: an attachment belongs to the whole process, not to the thread that made it: any thread
// may detach it. It is accessed through atomics alone.
unsafe impl Send for Attachment {}
// SAFETY: its methods take `&self` and access the mapping through atomics alone.
unsafe impl Sync for Attachment {}

impl Attachment {
    /// Maps a segment with the flags of `shmat(2)`. The length comes from the kernel, after the
    /// segment was mapped: from then on its id cannot mean another segment.
    pub(crate) fn new(segment: Segment, flags: i32) -> Result<Self> {
        let id = segment.id();
        let write = flags & libc::SHM_RDONLY == 0;
        let address =
            sys::shmat(id.0, flags).map_err(|errno| Error::Attach { id, write, errno })?;
        // Owned from here on, so that an error below detaches it.
        let mut attachment = Self { address, size: 0 };
        // A segment fits the address space: it has just been mapped.
        attachment.size = usize::try_from(segment.stat()?.size).unwrap_or(usize::MAX);
        Ok(attachment)
    }

    /// The segment's size in bytes, as the kernel gives it; never 0.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Copies bytes from `offset` on into `buffer`, as many as there are; returns how many.
    ///
    /// Another process that writes meanwhile can leave a mix of its old and new bytes there.
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let bytes = self.bytes().get(offset..).unwrap_or_default();
        for (target, source) in buffer.iter_mut().zip(bytes) {
            *target = source.load(Ordering::Relaxed);
        }
        buffer.len().min(bytes.len())
    }

    /// The whole mapping. Storing to it is for [`WritableAttachment`] alone, so it stays private.
    fn bytes(&self) -> &[AtomicU8] {
        let bytes = NonNull::slice_from_raw_parts(self.address.cast(), self.size);
        // SAFETY: `size` bytes from the address on are mapped, as one allocation of the kernel's,
        // until drop, which the borrow of self precedes: System V segments never shrink, and
        // removal spares mappings. AtomicU8 has the size and alignment of u8, any bit pattern is
        // valid, and it allows for changes behind the reference. Relaxed loads of one byte are
        // allowed on read-only memory too (std::sync::atomic, "Atomic accesses to read-only
        // memory"); stores happen only where the mapping is writable.
        unsafe { bytes.as_ref() }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: the address came from shmat and this is its only owner; no pointer into the
        // mapping leaves a method.
        unsafe { sys::shmdt(self.address) };
    }
}

/// A segment mapped for reading and writing; detached when dropped.
#[derive(Debug)]
pub struct WritableAttachment(Attachment);

impl WritableAttachment {
    pub(crate) fn new(segment: Segment) -> Result<Self> {
        Attachment::new(segment, 0).map(Self)
    }

    /// Copies `bytes` into the segment from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], with nothing written, where they do not all fit.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.size) {
            return Err(Error::OutOfBounds {
                offset: offset as u64,
                length: bytes.len() as u64,
                size: self.size as u64,
            });
        }
        // Made only by shmat without SHM_RDONLY: these bytes may be stored to.
        for (target, byte) in self.bytes()[offset..].iter().zip(bytes) {
            target.store(*byte, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl AsRef<Attachment> for Attachment {
    fn as_ref(&self) -> &Attachment {
        self
    }
}

impl AsRef<Attachment> for WritableAttachment {
    fn as_ref(&self) -> &Attachment {
        &self.0
    }
}

impl Deref for WritableAttachment {
    type Target = Attachment;

    fn deref(&self) -> &Attachment {
        &self.0
    }
}
