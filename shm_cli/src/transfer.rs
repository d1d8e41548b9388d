//! The transfer of long texts between a descriptor and shared memory, with a few buffers.
//!
//! The kernel copies directly into a System V segment and out of it: `read(2)` into the attachment,
//! `write(2)` out of it. A POSIX object or a file is read and written with `pread(2)` and
//! `pwrite(2)` through a buffer that stays in the processor's cache. This process must search every
//! byte for a NUL. With `splice(2)`, `sendfile(2)` or `copy_file_range(2)` the search would be a
//! second pass over memory. A mapping of the file would need no second pass, but a process that
//! shrinks the file would end this process with SIGBUS.
//!
//! Several threads read a regular file into a segment; one thread takes 1.7 times as long. One
//! thread searches for the end of a text while another writes the text; one thread for both takes
//! 1.3 times as long. One thread makes all other transfers, because more threads had no measurable
//! gain.

mod side_by_side;
mod sink;

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::mpsc;
use std::thread;

use shm_core::attachment::Advice;
use shm_core::memory::WritableMemory;
use shm_core::{Attachment, Descriptor, Errno, Error, Segment};

use crate::checksum::Checksum;
use crate::progress::Progress;
use sink::{Sink, read_fully};

/// The number of bytes that are moved at once. Also how far pages are allocated beyond a possible
/// end.
const BLOCK: usize = 256 * 1024;

/// The end of a text in shared memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Filled {
    /// The offset after its last byte.
    pub end: u64,
    /// Why the text ends there.
    pub stop: EndReason,
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The input ended.
    Input,
    /// The input has a NUL at this place.
    Nul,
    /// The room is full, and the input has more bytes.
    Room,
}

/// Which side of a transfer failed.
#[derive(Debug)]
pub enum TransferError {
    /// The descriptor.
    Descriptor(io::Error),
    /// The shared memory.
    Memory(Error),
}

/// Copies the input of a descriptor into `room`, a range of the memory, until the input ends, has a
/// NUL, or fills the room. The NUL is not part of the text. The bytes of the room after the text
/// are unspecified.
///
/// A regular file is read from its current offset. Afterwards the offset is at the end of the text.
/// During the call nothing else should read through the same open file description. The call waits
/// for any other input, and reads it until its end, until the end of the block of 256 KiB that
/// contains a NUL, or until one byte more than the room.
///
/// For a checksum of a regular file, the pages of a segment stay mapped until the checksum is
/// complete. The checksum covers the bytes that the segment has at that time.
///
/// # Errors
///
/// [`TransferError`]. A part of the input may have been copied; nothing if the room is not inside
/// the memory.
pub fn fill(
    memory: &WritableMemory,
    room: Range<u64>,
    input: Descriptor,
    mut checksum: Option<&mut Checksum>,
    progress: &mut Progress,
) -> Result<Filled, TransferError> {
    let (offset, length) = (room.start, room.end.saturating_sub(room.start));
    let size = memory.size().map_err(TransferError::Memory)?;
    if room.end > size || room.start > room.end {
        return Err(TransferError::Memory(Error::OutOfBounds { offset, length, size }));
    }
    // A file that the kernel generates has the size 0.
    let extent = input.extent().filter(|extent| !extent.is_empty());
    let expected = extent.as_ref().map_or(length, |it| (it.end - it.start).min(length));
    let segment = match memory {
        WritableMemory::SysV(_, attachment) if extent.is_some() => Some(attachment),
        _ => None,
    };
    let task = Task {
        memory,
        input,
        input_start: extent.map(|it| it.start),
        room,
        expected_end: offset + expected,
        is_read_again: segment.is_some() && checksum.is_some(),
    };
    let filled = match segment {
        Some(attachment) => side_by_side::fill(&task, attachment, progress)?,
        None => task.fill_in_order(checksum.as_deref_mut(), progress)?,
    };
    let filled = match filled {
        Some(filled) => filled,
        None => Filled { end: task.room.end, stop: task.after_room()? },
    };
    if let Some(checksum) = checksum.filter(|_| task.is_read_again) {
        task.sum(offset..filled.end, checksum);
    }
    // The offset of a regular file is then at the byte after the text.
    if let Some(at) = task.input_offset(filled.end) {
        input.seek(at).map_err(|errno| TransferError::Descriptor(errno.into()))?;
    }
    Ok(filled)
}

/// One call of [`fill`].
struct Task<'a> {
    memory: &'a WritableMemory,
    input: Descriptor<'a>,
    /// For a regular file, the offset where its input begins, as it was at the start of the
    /// transfer. Its bytes can be read in any order; other input only in its order.
    input_start: Option<u64>,
    room: Range<u64>,
    /// The latest expected end of the input, as an offset in the memory.
    expected_end: u64,
    /// Whether the text is read again for a checksum. Its pages stay mapped, to avoid page faults.
    is_read_again: bool,
}

impl Task<'_> {
    /// Copies block after block. Returns the end of the text, or `None` if it fills the room.
    fn fill_in_order(
        &self,
        mut checksum: Option<&mut Checksum>,
        progress: &mut Progress,
    ) -> Result<Option<Filled>, TransferError> {
        let mut sink = Sink::of(self.memory);
        let mut start = self.room.start;
        while start < self.room.end {
            let block = start..self.room.end.min(start + BLOCK as u64);
            let filled = self.move_piece(&mut sink, &block, checksum.as_deref_mut())?;
            progress.reached(filled.end);
            if filled.end < block.end {
                return Ok(Some(filled));
            }
            start = block.end;
        }
        Ok(None)
    }

    /// Copies one piece. The text ends in it if the returned end is before the end of the piece.
    fn move_piece(
        &self,
        sink: &mut Sink,
        piece: &Range<u64>,
        checksum: Option<&mut Checksum>,
    ) -> Result<Filled, TransferError> {
        sink.prepare(&(piece.start..piece.end.min(self.expected_end)));
        let at = self.input_offset(piece.start);
        let length = sink.read(self.input, at, piece).map_err(|errno| self.read_error(errno))?;
        let read = piece.start..piece.start + length;
        sink.store(&read).map_err(TransferError::Memory)?;
        let end = sink.text_end(&read, checksum);
        if !self.is_read_again {
            sink.release(piece);
        }
        Ok(Filled { end, stop: if end < read.end { EndReason::Nul } else { EndReason::Input } })
    }

    /// Adds the text to a checksum, in order: the threads copied its pieces in any order.
    fn sum(&self, text: Range<u64>, checksum: &mut Checksum) {
        let sink = Sink::of(self.memory);
        for start in text.clone().step_by(BLOCK) {
            let block = start..text.end.min(start + BLOCK as u64);
            sink.text_end(&block, Some(checksum));
            sink.release(&block);
        }
    }

    /// For a regular file, returns the offset of the input for a place in the memory.
    fn input_offset(&self, in_memory: u64) -> Option<u64> {
        self.input_start.map(|start| start + (in_memory - self.room.start))
    }

    /// Returns whether the input ends at the end of the room or has more bytes.
    fn after_room(&self) -> Result<EndReason, TransferError> {
        let at = self.input_offset(self.room.end);
        let more = read_fully(1, |_| self.input.read_at(at, &mut [0]));
        let more = more.map_err(|errno| TransferError::Descriptor(errno.into()))?;
        Ok(if more == 0 { EndReason::Input } else { EndReason::Room })
    }

    fn read_error(&self, errno: Errno) -> TransferError {
        match fault(self.memory.segment(), errno) {
            Some(fault) => TransferError::Memory(fault),
            None => TransferError::Descriptor(errno.into()),
        }
    }
}

/// Returns the error of the segment if a read into it or a write out of it failed because of it.
fn fault(segment: Option<Segment>, errno: Errno) -> Option<Error> {
    segment.filter(|_| errno == Errno::EFAULT).map(|segment| Error::Fault { id: segment.id() })
}

/// Writes the text of a segment to a descriptor and returns its length. The kernel copies directly
/// from the attachment. If another process writes to the segment during the call, the output can
/// contain a NUL.
///
/// # Errors
///
/// The errors of `write(2)`, after a part of the text was written; an error that wraps
/// [`Error::Fault`] if the kernel has no page for a part of the segment.
pub fn drain(
    attachment: &Attachment,
    target: BorrowedFd,
    progress: &mut Progress,
) -> io::Result<u64> {
    // A writer stores the first byte last. A reader that sees it also sees the bytes stored before.
    let mut first_byte = [0];
    attachment.read_at(0, &mut first_byte);
    if first_byte == [0] {
        return Ok(0);
    }
    let first = 0..attachment.size().min(BLOCK);
    let mut end =
        write_piece(attachment, first.start..text_end(attachment, &first), target, progress)?;
    if end < first.end || end == attachment.size() {
        return Ok(end as u64);
    }
    // For a long text another thread searches for the end, two blocks ahead of the output.
    thread::scope(|scope| {
        let (found, blocks) = mpsc::sync_channel(1);
        let search =
            move || texts(attachment, first.end).try_for_each(|block| found.send(block).ok());
        let blocks: Box<dyn Iterator<Item = Range<usize>>> =
            match thread::Builder::new().spawn_scoped(scope, search) {
                Ok(_) => Box::new(blocks.into_iter()),
                Err(_) => Box::new(texts(attachment, end)),
            };
        for block in blocks {
            end = write_piece(attachment, block, target, progress)?;
        }
        Ok(end as u64)
    })
}

/// Returns the blocks of the text from `start` on, up to its NUL.
fn texts(attachment: &Attachment, start: usize) -> impl Iterator<Item = Range<usize>> {
    let blocks = (start..attachment.size()).step_by(BLOCK);
    let blocks = blocks.map(|start| start..attachment.size().min(start + BLOCK));
    blocks.scan(false, |ended, block| {
        if *ended {
            return None;
        }
        // Reading a page that was never written allocates it. So the next pages are allocated only
        // if the text goes on.
        let end = if let Some(nul) = attachment.find_nul(block.start..block.start + 1) {
            nul
        } else {
            attachment.advise(block.clone(), Advice::PopulateForReading);
            text_end(attachment, &block)
        };
        *ended = end < block.end;
        Some(block.start..end)
    })
}

/// Returns the end of the text in a block.
fn text_end(attachment: &Attachment, block: &Range<usize>) -> usize {
    attachment.find_nul(block.clone()).unwrap_or(block.end)
}

/// Writes a piece of the text, and returns the end of the piece.
fn write_piece(
    attachment: &Attachment,
    piece: Range<usize>,
    target: BorrowedFd,
    progress: &mut Progress,
) -> io::Result<usize> {
    write_all(attachment, piece.clone(), target)?;
    progress.reached(piece.end as u64);
    if piece.start > 0 {
        attachment.advise(piece.clone(), Advice::Release);
    }
    Ok(piece.end)
}

fn write_all(
    attachment: &Attachment,
    mut rest: Range<usize>,
    target: BorrowedFd,
) -> io::Result<()> {
    while !rest.is_empty() {
        match attachment.write_to(rest.clone(), target) {
            Err(Errno::EINTR) => {}
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest.start += count,
            Err(errno) => {
                let fault = fault(attachment.segment(), errno);
                return Err(fault.map_or_else(|| errno.into(), io::Error::other));
            }
        }
    }
    Ok(())
}
