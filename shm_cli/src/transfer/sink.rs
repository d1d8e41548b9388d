//! How a piece of the input gets into each kind of shared memory.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use memchr::memchr;
use shm_core::attachment::Advice;
use shm_core::memory::WritableMemory;
use shm_core::{Descriptor, Errno, Object, Result, WritableAttachment};

use super::BLOCK;
use crate::checksum::Checksum;

/// What the bytes of a segment are copied to where they have to be held still; it stays in the
/// cache that is nearest to the processor.
const STILL: usize = 16 * 1024;

/// Where the pieces that one thread reads come to lie.
pub(super) enum Sink<'a> {
    /// In the segment itself.
    Straight(&'a WritableAttachment),
    /// In a buffer first.
    Through(&'a Object, Vec<u8>),
}

impl<'a> Sink<'a> {
    pub(super) fn of(memory: &'a WritableMemory) -> Self {
        match memory {
            WritableMemory::SysV(_, attachment) => Self::Straight(attachment),
            WritableMemory::File(object) => Self::Through(object, vec![0; BLOCK]),
        }
    }

    /// Makes ready for a piece before it comes.
    pub(super) fn prepare(&self, piece: &Range<u64>) {
        if let Self::Straight(attachment) = self {
            attachment.advise(local_range(piece), Advice::PopulateForWriting);
        }
    }

    /// Ends with a piece that was looked at.
    pub(super) fn release(&self, piece: &Range<u64>) {
        if let Self::Straight(attachment) = self {
            attachment.advise(local_range(piece), Advice::Release);
        }
    }

    /// Reads a piece, of a regular file from the offset `at`; less than its length came only if the input ended.
    pub(super) fn read(
        &mut self,
        fd: BorrowedFd,
        at: Option<u64>,
        piece: &Range<u64>,
    ) -> Result<u64, Errno> {
        let length = local(piece.end - piece.start);
        read_fully(length, |done| {
            let at = at.map(|at| at + done as u64);
            match self {
                Self::Straight(attachment) => {
                    let Range { start, end } = local_range(piece);
                    attachment.read_from(fd, at, start + done..end)
                }
                Self::Through(_, buffer) => Descriptor(fd).read_from(at, &mut buffer[done..length]),
            }
        })
    }

    /// Puts what was read where it belongs.
    pub(super) fn store(&self, filled: &Range<u64>) -> Result<()> {
        match self {
            Self::Straight(_) => Ok(()),
            Self::Through(object, buffer) => {
                object.write_at(filled.start, &buffer[..local(filled.end - filled.start)])
            }
        }
    }

    /// Where the first NUL of what was read is, or where that ends; what is before it is added to
    /// the checksum.
    pub(super) fn text_end(&self, filled: &Range<u64>, checksum: Option<&mut Checksum>) -> u64 {
        match (self, checksum) {
            (Self::Straight(attachment), None) => {
                let nul = attachment.find_nul(local_range(filled));
                nul.map_or(filled.end, |nul| nul as u64)
            }
            (Self::Straight(attachment), Some(checksum)) => {
                let mut still = [0; STILL];
                let Range { mut start, end } = local_range(filled);
                while start < end {
                    let length = still.len().min(end - start);
                    attachment.read_at(start, &mut still[..length]);
                    let text = before_nul(&still[..length]);
                    checksum.update(text);
                    start += text.len();
                    if text.len() < length {
                        break;
                    }
                }
                start as u64
            }
            (Self::Through(_, buffer), checksum) => {
                let text = before_nul(&buffer[..local(filled.end - filled.start)]);
                if let Some(checksum) = checksum {
                    checksum.update(text);
                }
                filled.start + text.len() as u64
            }
        }
    }
}

fn before_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr(0, bytes).unwrap_or(bytes.len())]
}

/// Calls `read` with how much there is until that is `length` or the input has ended.
pub(super) fn read_fully(
    length: usize,
    mut read: impl FnMut(usize) -> Result<usize, Errno>,
) -> Result<u64, Errno> {
    let mut done = 0;
    while done < length {
        match read(done) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done as u64)
}

/// A number of bytes of a piece, or a place in a segment, which is mapped: it fits an address.
fn local(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn local_range(range: &Range<u64>) -> Range<usize> {
    local(range.start)..local(range.end)
}

#[cfg(test)]
mod tests {
    use shm_core::Errno;

    use super::read_fully;

    /// What `read_fully` makes of answers that come one after the other.
    fn read(length: usize, answers: &[Result<usize, Errno>]) -> Result<u64, Errno> {
        let mut answers = answers.iter().copied();
        read_fully(length, |_| answers.next().expect("no more calls than are needed"))
    }

    #[test]
    fn short_reads_and_signals_do_not_end_a_piece() {
        assert_eq!(read(10, &[Ok(3), Err(Errno::EINTR), Ok(7)]), Ok(10));
        assert_eq!(read(10, &[Err(Errno::EINTR), Ok(4), Err(Errno::EINTR), Ok(0)]), Ok(4));
        assert_eq!(read(0, &[]), Ok(0));
        assert_eq!(read(10, &[Ok(3), Err(Errno::EIO)]), Err(Errno::EIO));
    }
}
