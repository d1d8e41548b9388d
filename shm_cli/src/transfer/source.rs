//! What is read.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use shm_core::Descriptor;

use super::sink::read_fully;
use super::{EndReason, TransferError};

/// A descriptor whose input begins at `start` of the memory.
pub(super) struct Source<'a> {
    descriptor: Descriptor<'a>,
    start: u64,
    /// Of a regular file: where its input begins and ends, as it was when it was asked. Each of its bytes can be read
    /// at any time. Anything else is read in order.
    extent: Option<Range<u64>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(descriptor: Descriptor<'a>, start: u64) -> Self {
        // A file of the kernel's own has no bytes before it is read.
        let extent = descriptor.extent().filter(|extent| !extent.is_empty());
        Self { descriptor, start, extent }
    }

    /// How many bytes there are, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.extent.as_ref().map(|extent| extent.end - extent.start)
    }

    /// Whether it is a regular file.
    pub(super) fn is_file(&self) -> bool {
        self.extent.is_some()
    }

    /// The descriptor, and for a regular file the offset in it, of the input for a place of the memory.
    pub(super) fn place(&self, in_memory: u64) -> (BorrowedFd<'a>, Option<u64>) {
        let at = self.extent.as_ref().map(|extent| extent.start + (in_memory - self.start));
        (self.descriptor.0, at)
    }

    /// Whether there is more input than there was room for, up to `end`.
    pub(super) fn beyond(&self, end: u64) -> Result<EndReason, TransferError> {
        let (fd, at) = self.place(end);
        let more = read_fully(1, |_| Descriptor(fd).read_from(at, &mut [0]));
        let more = more.map_err(|errno| TransferError::Descriptor(errno.into()))?;
        Ok(if more == 0 { EndReason::Input } else { EndReason::Room })
    }

    /// Has a regular file read next behind what came up to `end` of the memory.
    pub(super) fn leave_at(&self, end: u64) -> Result<(), TransferError> {
        let (_, Some(at)) = self.place(end) else { return Ok(()) };
        self.descriptor.seek(at).map_err(TransferError::Descriptor)
    }
}
