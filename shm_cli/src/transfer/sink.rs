//! How a piece of the input is copied to each kind of shared memory.

use std::ops::Range;

use memchr::memchr;
use shm_core::attachment::Advice;
use shm_core::memory::WritableMemory;
use shm_core::{Descriptor, Errno, Object, Result, WritableAttachment};

use super::BLOCK;
use crate::checksum::Checksum;

/// The size of the copy of a segment's bytes from which the checksum is computed. It fits into the
/// processor's first-level cache.
const COPY: usize = 16 * 1024;

/// The destination of the pieces that one thread reads.
pub(super) enum Sink<'a> {
    /// The segment itself.
    Direct(&'a WritableAttachment),
    /// A buffer, which is then copied to the object.
    Buffer(&'a Object, Vec<u8>),
}

impl<'a> Sink<'a> {
    pub(super) fn of(memory: &'a WritableMemory) -> Self {
        match memory {
            WritableMemory::SysV(_, attachment) => Self::Direct(attachment),
            WritableMemory::File(object) => Self::Buffer(object, vec![0; BLOCK]),
        }
    }

    /// Allocates the pages of a piece before it is read.
    pub(super) fn prepare(&self, piece: &Range<u64>) {
        if let Self::Direct(attachment) = self {
            attachment.advise(local_range(piece), Advice::PopulateForWriting);
        }
    }

    /// Unmaps the pages of a finished piece.
    pub(super) fn release(&self, piece: &Range<u64>) {
        if let Self::Direct(attachment) = self {
            attachment.advise(local_range(piece), Advice::Release);
        }
    }

    /// Reads a piece, from the offset `at` of a regular file. Returns fewer bytes only if the input
    /// ends.
    pub(super) fn read(
        &mut self,
        input: Descriptor,
        at: Option<u64>,
        piece: &Range<u64>,
    ) -> Result<u64, Errno> {
        let length = local(piece.end - piece.start);
        read_fully(length, |done| {
            let at = at.map(|at| at + done as u64);
            match self {
                Self::Direct(attachment) => {
                    let Range { start, end } = local_range(piece);
                    attachment.read_from(input.0, at, start + done..end)
                }
                Self::Buffer(_, buffer) => input.read_at(at, &mut buffer[done..length]),
            }
        })
    }

    /// Copies the bytes that were read to an object.
    pub(super) fn store(&self, filled: &Range<u64>) -> Result<()> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::Buffer(object, buffer) => {
                object.write_at(filled.start, &buffer[..local(filled.end - filled.start)])
            }
        }
    }

    /// Returns the place of the first NUL, or the end of the bytes that were read. Adds the bytes
    /// before it to the checksum.
    pub(super) fn text_end(&self, filled: &Range<u64>, checksum: Option<&mut Checksum>) -> u64 {
        match (self, checksum) {
            (Self::Direct(attachment), None) => {
                let nul = attachment.find_nul(local_range(filled));
                nul.map_or(filled.end, |nul| nul as u64)
            }
            (Self::Direct(attachment), Some(checksum)) => {
                // The checksum and the search must see the same bytes; other processes may write.
                let mut copy = [0; COPY];
                let Range { mut start, end } = local_range(filled);
                while start < end {
                    let length = copy.len().min(end - start);
                    attachment.read_at(start, &mut copy[..length]);
                    let text = before_nul(&copy[..length]);
                    checksum.update(text);
                    start += text.len();
                    if text.len() < length {
                        break;
                    }
                }
                start as u64
            }
            (Self::Buffer(_, buffer), checksum) => {
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

/// Calls `read` with the number of bytes so far, until it is `length` or the input ends.
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

/// Converts a number of bytes of a piece or an offset in a mapped segment. Both fit into a `usize`.
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

    /// Returns the result of `read_fully` for these results of its reads.
    fn read(length: usize, results: &[Result<usize, Errno>]) -> Result<u64, Errno> {
        let mut results = results.iter().copied();
        read_fully(length, |_| results.next().expect("no read after the end"))
    }

    #[test]
    fn short_reads_and_signals_do_not_end_a_piece() {
        assert_eq!(read(10, &[Ok(3), Err(Errno::EINTR), Ok(7)]), Ok(10));
        assert_eq!(read(10, &[Err(Errno::EINTR), Ok(4), Err(Errno::EINTR), Ok(0)]), Ok(4));
        assert_eq!(read(0, &[]), Ok(0));
        assert_eq!(read(10, &[Ok(3), Err(Errno::EIO)]), Err(Errno::EIO));
    }
}
