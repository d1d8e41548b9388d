//! The input of a transfer.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use shm_core::Descriptor;

use super::sink::read_fully;
use super::{EndReason, TransferError};

/// A descriptor. The first byte of its input goes to offset `start` of the memory.
pub(super) struct Source<'a> {
    descriptor: Descriptor<'a>,
    start: u64,
    /// For a regular file, the offsets where its input begins and ends, as they were at the start
    /// of the transfer. Its bytes can be read in any order; other input only in its order.
    extent: Option<Range<u64>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(descriptor: Descriptor<'a>, start: u64) -> Self {
        // A file that the kernel generates has the size 0.
        let extent = descriptor.extent().filter(|extent| !extent.is_empty());
        Self { descriptor, start, extent }
    }

    /// Returns the number of bytes, if it is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.extent.as_ref().map(|extent| extent.end - extent.start)
    }

    /// Returns whether the input is a regular file with a known size.
    pub(super) fn is_file(&self) -> bool {
        self.extent.is_some()
    }

    /// Returns the descriptor and, for a regular file, the offset of the input for a place in the
    /// memory.
    pub(super) fn place(&self, in_memory: u64) -> (BorrowedFd<'a>, Option<u64>) {
        let at = self.extent.as_ref().map(|extent| extent.start + (in_memory - self.start));
        (self.descriptor.0, at)
    }

    /// Returns whether the input ends at `end` of the memory or has more bytes than the room.
    pub(super) fn beyond(&self, end: u64) -> Result<EndReason, TransferError> {
        let (fd, at) = self.place(end);
        let more = read_fully(1, |_| Descriptor(fd).read_at(at, &mut [0]));
        let more = more.map_err(|errno| TransferError::Descriptor(errno.into()))?;
        Ok(if more == 0 { EndReason::Input } else { EndReason::Room })
    }

    /// Sets the offset of a regular file to the byte after the text, which ends at `end` of the
    /// memory.
    pub(super) fn leave_at(&self, end: u64) -> Result<(), TransferError> {
        let (_, Some(at)) = self.place(end) else { return Ok(()) };
        self.descriptor.seek(at).map_err(|errno| TransferError::Descriptor(errno.into()))
    }
}
