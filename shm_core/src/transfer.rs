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
//! What can be done side by side is: several workers have the pages of their pieces made, read them, and
//! look at what has come. What comes through a pipe is read by one at a time, the pieces of a regular
//! file by all of them at once.

mod landing;
mod source;
mod turns;

use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::checksum::Checksum;
use crate::memory::WritableMemory;
use crate::progress::Progress;
use crate::sys::Advice;
use crate::{Attachment, Descriptor, Errno, Error};
use landing::Landing;
use source::Source;
use turns::Turns;

/// How many bytes of a segment are moved at once where several can read or write at the same time. With
/// less they are in each other's way in the page table, of which one page maps as much on most machines.
const PIECE: usize = 2 * 1024 * 1024;
/// How many everywhere else, and how many pages are made ahead of what may be the end.
const BLOCK: usize = 256 * 1024;
/// What is moved passes through the memory of the machine, which more do not make faster.
const MOST_WORKERS: usize = 4;

/// How far a text got into shared memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Filled {
    /// Where its last byte is, plus one.
    pub end: u64,
    /// What ended it there.
    pub stop: Stop,
}

/// What ends a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The input ended.
    Input,
    /// The input has a NUL there.
    Nul,
    /// The room ended, and the input did not.
    Room,
}

/// What failed on the way.
#[derive(Debug)]
pub enum Interruption {
    /// The descriptor.
    Descriptor(io::Error),
    /// The shared memory.
    Memory(Error),
}

/// Moves what a descriptor has into `room`, bytes of the memory, up to its end or a NUL, which is
/// left out. What comes behind that in the memory, as far as the room goes, is not said.
///
/// A regular file is read from where it would be read next, and is read next behind what was moved;
/// meanwhile nobody else should read it through the same open file. Anything else is read to its end, a
/// few pieces of 256 KiB behind a NUL, or a byte more than there is room for: it is waited for.
///
/// # Errors
///
/// [`Interruption`], with a part of the input moved; with nothing moved where the room ends behind the
/// memory, or before it starts.
pub fn fill(
    memory: &WritableMemory,
    room: Range<u64>,
    source: Descriptor,
    checksum: Option<&mut Checksum>,
    progress: &mut Progress,
) -> Result<Filled, Interruption> {
    let (offset, length) = (room.start, room.end.saturating_sub(room.start));
    let size = memory.size().map_err(Interruption::Memory)?;
    if room.end > size || room.start > room.end {
        return Err(Interruption::Memory(Error::OutOfBounds { offset, length, size }));
    }
    let source = Source::new(source, room.start);
    let expected = source.length().map_or(length, |there_is| there_is.min(length));
    let straight = matches!(memory, WritableMemory::SysV(..));
    let piece_size = if straight && source.is_in_any_order() { PIECE } else { BLOCK } as u64;
    let filling = Filling {
        memory,
        source: &source,
        piece_size,
        end: room.end,
        expected_end: room.start + expected,
        claimed: AtomicU64::new(room.start),
        sums: checksum.is_some(),
        checks: Turns::new(room.start, Checks { checksum, progress, outcome: None }),
    };
    if source.is_in_any_order() && expected >= PIECE as u64 {
        landing::expect_much(memory);
    }
    side_by_side(expected.div_ceil(piece_size), || filling.work());
    let filled = match filling.checks.into_inner().outcome {
        Some(outcome) => outcome?,
        None => Filled { end: room.end, stop: source.beyond(room.end)? },
    };
    source.leave_at(filled.end)?;
    Ok(filled)
}

/// Has several threads do the same work, this one among them, as far as so many pieces have work for
/// them.
fn side_by_side(pieces: u64, work: impl Fn() + Sync) {
    if pieces <= 1 {
        return work();
    }
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS);
    thread::scope(|scope| {
        for _ in 1..pieces.min(workers as u64) {
            // Where there may be no more threads it goes on with fewer.
            let _ = thread::Builder::new().spawn_scoped(scope, &work);
        }
        work();
    });
}

/// A [`fill`] that several threads work at.
struct Filling<'a> {
    memory: &'a WritableMemory,
    source: &'a Source<'a>,
    piece_size: u64,
    end: u64,
    /// Where the input is expected to end, at the latest.
    expected_end: u64,
    /// Where the next piece starts that nobody has begun.
    claimed: AtomicU64,
    /// Whether a checksum is made.
    sums: bool,
    /// Whose turn it is to say what was read.
    checks: Turns<Checks<'a>>,
}

struct Checks<'a> {
    checksum: Option<&'a mut Checksum>,
    progress: &'a mut Progress,
    outcome: Option<Result<Filled, Interruption>>,
}

impl Filling<'_> {
    fn work(&self) {
        let mut landing = Landing::of(self.memory);
        loop {
            let start = self.claimed.fetch_add(self.piece_size, Ordering::Relaxed);
            let piece = start..self.end.min(start.saturating_add(self.piece_size));
            if piece.is_empty() || !self.take(&mut landing, &piece) {
                return;
            }
        }
    }

    /// Takes in one piece; returns whether there is more to come.
    fn take(&self, landing: &mut Landing, piece: &Range<u64>) -> bool {
        landing.prepare(&(piece.start..piece.end.min(self.expected_end)));
        let Some(taken) = self.source.take(landing, piece) else { return false };
        let landed = match taken {
            Ok(length) => {
                let filled = piece.start..piece.start + length;
                landing.store(&filled).map(|()| filled).map_err(Interruption::Memory)
            }
            Err(errno) => Err(self.interruption(errno)),
        };
        // Only a checksum has an order.
        let looked_at = landed.map(|filled| {
            let end = (!self.sums).then(|| landing.text_end(&filled, None));
            (filled, end)
        });
        let Some(mut turn) = self.checks.wait(piece.start) else { return false };
        let outcome = looked_at.map(|(filled, end)| {
            let end =
                end.unwrap_or_else(|| landing.text_end(&filled, turn.checksum.as_deref_mut()));
            turn.progress.reached(end);
            let stop = if end < filled.end { Stop::Nul } else { Stop::Input };
            Filled { end, stop }
        });
        let more = outcome.as_ref().is_ok_and(|filled| filled.end == piece.end);
        turn.pass(more.then_some(piece.end));
        if !more {
            turn.outcome = Some(outcome);
            self.source.end();
        }
        drop(turn);
        landing.release(piece);
        more
    }

    /// Whether the memory or the descriptor made a read fail.
    fn interruption(&self, errno: Errno) -> Interruption {
        match self.memory.segment() {
            Some(segment) if errno == Errno::EFAULT => {
                Interruption::Memory(Error::Fault { id: segment.id() })
            }
            _ => Interruption::Descriptor(errno.into()),
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
    let first = 0..attachment.size().min(BLOCK);
    let draining = Draining {
        attachment,
        target,
        claimed: AtomicUsize::new(first.end),
        output: Turns::new(first.end as u64, Written { progress, outcome: Ok(first.end as u64) }),
    };
    // The first byte is written last, and what was written before it is there for whoever has seen it.
    let mut first_byte = [0];
    attachment.read_at(0, &mut first_byte);
    if first_byte == [0] {
        return Ok(0);
    }
    // Most texts are short: no threads are started for them, and no pages made behind them.
    let nul = attachment.find_nul(first.clone());
    let end = nul.unwrap_or(first.end);
    draining.write_all(first.start..end)?;
    if nul.is_some() || end == attachment.size() {
        return Ok(end as u64);
    }
    side_by_side((attachment.size() - end).div_ceil(PIECE) as u64, || draining.work());
    draining.output.into_inner().outcome
}

/// A [`drain`] that several threads work at.
struct Draining<'a> {
    attachment: &'a Attachment,
    target: BorrowedFd<'a>,
    /// Where the next piece starts that nobody has begun.
    claimed: AtomicUsize,
    /// Whose turn it is to write.
    output: Turns<Written<'a>>,
}

struct Written<'a> {
    progress: &'a mut Progress,
    outcome: io::Result<u64>,
}

impl Draining<'_> {
    fn work(&self) {
        loop {
            let start = self.claimed.fetch_add(PIECE, Ordering::Relaxed);
            let piece = start..self.attachment.size().min(start.saturating_add(PIECE));
            if piece.is_empty() || !self.give(piece) {
                return;
            }
        }
    }

    /// Writes the text of one piece; returns whether there may be more behind it.
    fn give(&self, piece: Range<usize>) -> bool {
        let nul = self.find_nul(piece.clone());
        let end = nul.unwrap_or(piece.end);
        let Some(mut turn) = self.output.wait(piece.start as u64) else { return false };
        turn.outcome = self.write_all(piece.start..end).map(|()| end as u64);
        let more = nul.is_none() && turn.outcome.is_ok();
        turn.progress.reached(end as u64);
        turn.pass(more.then_some(piece.end as u64));
        drop(turn);
        self.attachment.advise(piece, Advice::Release);
        more
    }

    /// Looks for a NUL, with pages made for it that are soon needed and no more: where nothing was ever
    /// written looking at a page makes it.
    fn find_nul(&self, piece: Range<usize>) -> Option<usize> {
        piece.clone().step_by(BLOCK).find_map(|start| {
            let nul = self.attachment.find_nul(start..start + 1);
            nul.or_else(|| {
                let block = start..piece.end.min(start + BLOCK);
                self.attachment.advise(block.clone(), Advice::PopulateForReading);
                self.attachment.find_nul(block)
            })
        })
    }

    fn write_all(&self, mut rest: Range<usize>) -> io::Result<()> {
        while !rest.is_empty() {
            match self.attachment.write_to(rest.clone(), self.target) {
                Err(Errno::EINTR) => {}
                Err(Errno::EFAULT) => {
                    let id = self.attachment.segment().id();
                    return Err(io::Error::other(Error::Fault { id }));
                }
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest.start += count,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}
