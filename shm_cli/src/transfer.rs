//! Much data between a descriptor and shared memory, at the speed of memory and with a few buffers,
//! however much it is.
//!
//! Into a System V segment, and out of it, the kernel copies straight: `read(2)` into the
//! attachment, `write(2)` out of it. A POSIX object or a file is read and written through a buffer,
//! `pread(2)` and `pwrite(2)`, that stays in the processor's cache. Every byte has to be looked at,
//! for a NUL, and the kernel's ways around this process (`splice(2)`, `sendfile(2)`,
//! `copy_file_range(2)`) would make that a second pass over memory; a mapping of it would be looked
//! at in place, but whoever shrinks the file would then end this process with SIGBUS.
//!
//! Several threads read a regular file into a segment at once, which takes 1.7 times as long with one. A thread looks
//! for the end of a text while another writes it out, which takes 1.3 times as long with one. Everything else is moved
//! by one thread, because more gained nothing that could be measured.

mod side_by_side;
mod sink;
mod source;

use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::mpsc;
use std::thread;

use shm_core::attachment::Advice;
use shm_core::memory::WritableMemory;
use shm_core::{Attachment, Descriptor, Errno, Error};

use crate::checksum::Checksum;
use crate::progress::Progress;
use sink::Sink;
use source::Source;

/// How many bytes are moved at once, and how many pages are made ahead of what may be the end.
const BLOCK: usize = 256 * 1024;

/// How far a text got into shared memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Filled {
    /// Where its last byte is, plus one.
    pub end: u64,
    /// What ended it there.
    pub stop: EndReason,
}

/// What ends a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The input ended.
    Input,
    /// The input has a NUL there.
    Nul,
    /// The room ended, and the input did not.
    Room,
}

/// What failed on the way.
#[derive(Debug)]
pub enum TransferError {
    /// The descriptor.
    Descriptor(io::Error),
    /// The shared memory.
    Memory(Error),
}

/// Moves what a descriptor has into `room`, bytes of the memory, up to its end or a NUL, which is
/// left out. What comes behind that in the memory, as far as the room goes, is not said.
///
/// A regular file is read from where it would be read next, and is read next behind what was moved;
/// meanwhile nobody else should read it through the same open file. Anything else is read to its end, to
/// the end of the block of 256 KiB that has a NUL, or a byte more than there is room for: it is waited for.
///
/// If a checksum of a regular file is wanted, the bytes in a segment stay mapped until they are summed. The checksum is
/// of the bytes that the segment holds at that time.
///
/// # Errors
///
/// [`TransferError`], with a part of the input moved; with nothing moved where the room ends behind the
/// memory, or before it starts.
pub fn fill(
    memory: &WritableMemory,
    room: Range<u64>,
    source: Descriptor,
    mut checksum: Option<&mut Checksum>,
    progress: &mut Progress,
) -> Result<Filled, TransferError> {
    let (offset, length) = (room.start, room.end.saturating_sub(room.start));
    let size = memory.size().map_err(TransferError::Memory)?;
    if room.end > size || room.start > room.end {
        return Err(TransferError::Memory(Error::OutOfBounds { offset, length, size }));
    }
    let source = Source::new(source, room.start);
    let expected = source.length().map_or(length, |there_is| there_is.min(length));
    let segment = match memory {
        WritableMemory::SysV(_, attachment) if source.is_file() => Some(attachment),
        _ => None,
    };
    let is_read_again = segment.is_some() && checksum.is_some();
    let expected_end = offset + expected;
    let task = Task { memory, source: &source, room, expected_end, is_read_again };
    let filled = match segment {
        Some(attachment) => side_by_side::fill(&task, attachment, progress)?,
        None => task.fill_in_order(checksum.as_deref_mut(), progress)?,
    };
    let filled = match filled {
        Some(filled) => filled,
        None => Filled { end: task.room.end, stop: source.beyond(task.room.end)? },
    };
    if let Some(checksum) = checksum.filter(|_| is_read_again) {
        task.sum(offset..filled.end, checksum);
    }
    source.leave_at(filled.end)?;
    Ok(filled)
}

/// What is moved, and where to.
struct Task<'a> {
    memory: &'a WritableMemory,
    source: &'a Source<'a>,
    room: Range<u64>,
    /// Where the input is expected to end, at the latest.
    expected_end: u64,
    /// Whether a checksum is made of it afterwards: a fault for each page would take longer than that.
    is_read_again: bool,
}

impl Task<'_> {
    /// Moves one block after another. Returns where the text ended; `None` if it fills the room.
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

    /// Moves one piece of the room. The text ended in it if its end is before that of the piece.
    fn move_piece(
        &self,
        sink: &mut Sink,
        piece: &Range<u64>,
        checksum: Option<&mut Checksum>,
    ) -> Result<Filled, TransferError> {
        sink.prepare(&(piece.start..piece.end.min(self.expected_end)));
        let (fd, at) = self.source.place(piece.start);
        let length = sink.read(fd, at, piece).map_err(|errno| self.interruption(errno))?;
        let read = piece.start..piece.start + length;
        sink.store(&read).map_err(TransferError::Memory)?;
        let end = sink.text_end(&read, checksum);
        if !self.is_read_again {
            sink.release(piece);
        }
        Ok(Filled { end, stop: if end < read.end { EndReason::Nul } else { EndReason::Input } })
    }

    /// Adds what was moved to a checksum, which needs an order that the threads do not keep.
    fn sum(&self, text: Range<u64>, checksum: &mut Checksum) {
        let sink = Sink::of(self.memory);
        for start in text.clone().step_by(BLOCK) {
            let block = start..text.end.min(start + BLOCK as u64);
            sink.text_end(&block, Some(checksum));
            sink.release(&block);
        }
    }

    /// Whether the memory or the descriptor made a read fail.
    fn interruption(&self, errno: Errno) -> TransferError {
        match self.memory.segment() {
            Some(segment) if errno == Errno::EFAULT => {
                TransferError::Memory(Error::Fault { id: segment.id() })
            }
            _ => TransferError::Descriptor(errno.into()),
        }
    }
}

/// Has the kernel write the text of a segment to a descriptor, straight out of the attachment;
/// returns its length. Where somebody writes to the segment meanwhile it may have a NUL in it.
///
/// # Errors
///
/// Those of `write(2)`, with a part of the text written; an error that wraps
/// [`Error::Fault`] where a page of the segment is missing.
pub fn drain(
    attachment: &Attachment,
    target: BorrowedFd,
    progress: &mut Progress,
) -> io::Result<u64> {
    // The first byte is written last, and what was written before it is there for whoever has seen it.
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
    // A long text: its end is looked for by a thread of its own, one block ahead of what is written.
    thread::scope(|scope| {
        let (found, blocks) = mpsc::sync_channel(1);
        let look =
            move || texts(attachment, first.end).try_for_each(|block| found.send(block).ok());
        let blocks: Box<dyn Iterator<Item = Range<usize>>> =
            match thread::Builder::new().spawn_scoped(scope, look) {
                Ok(_) => Box::new(blocks.into_iter()),
                Err(_) => Box::new(texts(attachment, end)),
            };
        for block in blocks {
            end = write_piece(attachment, block, target, progress)?;
        }
        Ok(end as u64)
    })
}

/// The text of one block after another from `start` on, up to its NUL.
fn texts(attachment: &Attachment, start: usize) -> impl Iterator<Item = Range<usize>> {
    let blocks = (start..attachment.size()).step_by(BLOCK);
    let blocks = blocks.map(|start| start..attachment.size().min(start + BLOCK));
    blocks.scan(false, |ended, block| {
        if *ended {
            return None;
        }
        // To look at a page that was never written makes it: the next ones are made only for a text that goes on.
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

/// Where the text of a block ends.
fn text_end(attachment: &Attachment, block: &Range<usize>) -> usize {
    attachment.find_nul(block.clone()).unwrap_or(block.end)
}

/// Writes a piece of the text, and says where it ends.
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
            Err(Errno::EFAULT) => {
                let id = attachment.segment().id();
                return Err(io::Error::other(Error::Fault { id }));
            }
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest.start += count,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
