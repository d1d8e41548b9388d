//! Mapped segments.
//!
//! Other processes may write to a segment at any moment, so no reference to its bytes is ever
//! formed: they are copied between the mapping and memory of our own through raw pointers.
#![expect(unsafe_code, reason = "copies from and to the mapping; each block argues for itself")]

use std::ops::Deref;
use std::ptr::NonNull;

use crate::sys;
use crate::{Error, Result, Segment};

/// A segment mapped for reading; detached when dropped.
#[derive(Debug)]
pub struct Attachment {
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: an attachment belongs to the whole process. Its methods copy through a shared reference
// and keep no state, and what they copy races with other processes anyway.
unsafe impl Send for Attachment {}
// SAFETY: as above.
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
        let length = buffer.len().min(self.size.saturating_sub(offset));
        if length > 0 {
            let target = NonNull::from(buffer).cast();
            // SAFETY: offset < size, so the result is inside the mapping, which is at most
            // isize::MAX long like any other.
            let source = unsafe { self.address.add(offset) };
            // SAFETY: `length` bytes from `source` on are mapped readable until drop: System V
            // segments never shrink, and removal spares mappings. The buffer is ours, so the two
            // do not overlap. Racing writers change bytes, any of which is a valid u8; no
            // reference lets the compiler assume that they stay.
            unsafe { source.copy_to_nonoverlapping(target, length) };
        }
        length
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
        // SAFETY: offset <= size, so the result is inside the mapping or one past its end.
        let target = unsafe { self.address.add(offset) };
        // SAFETY: the bounds were checked, the mapping is writable (the type is made only by
        // shmat without SHM_RDONLY) and lives until drop; `bytes` is ours, so the two do not
        // overlap. No reference to the target exists anywhere, and racing readers are other
        // processes' affair.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
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
