//! Attached segments and mapped objects.
//!
//! Other processes, threads and mappings can write to shared memory at any time. No code makes a
//! `&[u8]` of it. Its bytes are accessed in two ways:
//!
//! - By this process, through atomics of one size. The mapping is an array of aligned words, and
//!   every access is a relaxed access to whole words. A race can only mix old and new bytes. Races
//!   between atomics that differ in size or overlap in part are undefined behaviour in Rust
//!   (`std::sync::atomic`, "Memory model for atomic accesses"). They cannot occur here: every
//!   mapping starts at a page, so all mappings divide the memory into the same words. A write
//!   to a part of a word keeps the other bytes by compare and exchange. A word moves eight bytes in
//!   the time of one, so only the memory limits the speed.
//! - By the kernel, for `read(2)` and `write(2)`. The kernel acts like another process.
//!
//! A write is ordered after the writes before it, and a read before the reads after it. A reader
//! that sees the byte that was written last also sees the bytes that were written before it.
//!
//! [`Words`] and [`WritableWords`] give access to the same words, for protocols of several words.
#![expect(unsafe_code, reason = "access to the mapping; each block has a SAFETY comment")]

use std::ops::{Deref, Range};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::sys;
pub use crate::sys::Advice;
use crate::{Errno, Error, Result, Segment};

const WORD: usize = size_of::<u64>();
/// The number of words that are searched for a NUL at once.
const BLOCK: usize = 8;

/// A segment that is attached, or an object that is mapped, for reading. Dropping it removes the
/// mapping.
///
/// A segment never shrinks. For an object, see the warning of [`Object::map`](crate::Object::map).
#[derive(Debug)]
pub struct Attachment {
    /// `None` for an object.
    segment: Option<Segment>,
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: an attachment belongs to the whole process, not to the thread that made it, so any thread
// may detach it. Only atomics and the kernel access the mapping.
unsafe impl Send for Attachment {}
// SAFETY: the methods take `&self`. Only atomics and the kernel access the mapping.
unsafe impl Sync for Attachment {}

impl Attachment {
    /// Attaches a segment with the flags of `shmat(2)`. Asks the kernel for the size after it has
    /// attached the segment: from then on, no other segment can get the id.
    pub(crate) fn new(segment: Segment, flags: i32) -> Result<Self> {
        let id = segment.id();
        let write = flags & libc::SHM_RDONLY == 0;
        let address =
            sys::shmat(id.0, flags).map_err(|errno| Error::Attach { id, write, errno })?;
        // From here on, dropping the attachment on an error detaches the segment.
        let mut attachment = Self { segment: Some(segment), address, size: 0 };
        // The size fits into a usize, because the segment is mapped.
        attachment.size = usize::try_from(segment.stat()?.size).unwrap_or(usize::MAX);
        Ok(attachment)
    }

    /// Maps the first `size` bytes of an object.
    pub(crate) fn of_object(object: BorrowedFd, size: usize, write: bool) -> Result<Self, Errno> {
        let address = sys::mmap(object, size, write)?;
        Ok(Self { segment: None, address, size })
    }

    /// Returns the segment; `None` for an object.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        self.segment
    }

    /// Returns the size in bytes. It is never 0.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Copies the available bytes from `offset` on into `buffer`; returns their number. If
    /// another process writes at the same time, the copy can mix its old and new bytes.
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> usize {
        let length = buffer.len().min(self.size.saturating_sub(offset));
        if length == 0 {
            return 0;
        }
        let (first, skipped) = (offset / WORD, offset % WORD);
        let head = length.min((WORD - skipped) % WORD);
        let (head, rest) = buffer[..length].split_at_mut(head);
        let mut words = self.words()[first..].iter();
        let mut load = || words.next().map_or([0; WORD], |word| word.load().to_ne_bytes());
        if !head.is_empty() {
            head.copy_from_slice(&load()[skipped..][..head.len()]);
        }
        let (whole, tail) = rest.as_chunks_mut();
        whole.fill_with(&mut load);
        if !tail.is_empty() {
            tail.copy_from_slice(&load()[..tail.len()]);
        }
        fence(Ordering::Acquire);
        length
    }

    /// Returns the position of the first NUL in `range`, or `None`. The end of the memory limits
    /// `range`. The next read sees all bytes that were written before those searched here.
    #[must_use]
    pub fn find_nul(&self, range: Range<usize>) -> Option<usize> {
        let end = range.end.min(self.size);
        let range = range.start.min(end)..end;
        let words = &self.words()[range.start / WORD..end.div_ceil(WORD)];
        let (blocks, rest) = words.as_chunks::<BLOCK>();
        let nul = |index: usize, words: &[ReadOnlyWord]| {
            let start = (range.start / WORD + index) * WORD;
            let bytes = words.iter().flat_map(|word| word.load().to_ne_bytes());
            let nuls = (start..).zip(bytes).filter(|(_, byte)| *byte == 0);
            nuls.map(|(position, _)| position).find(|position| range.contains(position))
        };
        let found = blocks.iter().enumerate().find_map(|(index, block)| {
            if has_nul(block) { nul(index * BLOCK, block) } else { None }
        });
        let found = found.or_else(|| nul(blocks.len() * BLOCK, rest));
        fence(Ordering::Acquire);
        found
    }

    /// Writes the bytes of `range` to a descriptor. Returns the number of bytes. `write(2)`.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`; `EFAULT` if the kernel has no page for a part of the segment.
    pub fn write_to(&self, range: Range<usize>, target: BorrowedFd) -> Result<usize, Errno> {
        let (address, length) = self.part(range);
        // SAFETY: `part` lies inside the mapping, which outlives the call. The kernel only reads
        // it. A race with a writer can only mix old and new bytes.
        unsafe { sys::write(target, address, length) }
    }

    /// Advises the kernel on the pages of `range`. It can map many pages at once, instead of one at
    /// each page fault. It can unmap pages early, because the detach unmaps all of them in one
    /// thread. Advice that fails has no effect. `madvise(2)`.
    pub fn advise(&self, range: Range<usize>, advice: Advice) {
        let (address, length) = self.part(range);
        if length > 0 {
            // SAFETY: `part` lies inside the mapping, which outlives the call and is shared.
            unsafe { sys::advise(address, length, advice) };
        }
    }

    /// Returns the address and the length of the mapped part of `range`.
    fn part(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        let start = range.start.min(self.size);
        let length = range.end.min(self.size).saturating_sub(start);
        // SAFETY: start <= size, so the result is in the mapping or one past its end.
        (unsafe { self.address.add(start) }, length)
    }

    /// Returns the whole mapping as words. The last word can extend past the end of the memory.
    fn words(&self) -> &[ReadOnlyWord] {
        let count = self.size.div_ceil(WORD);
        let words = NonNull::slice_from_raw_parts(self.address.cast(), count);
        // SAFETY: the address is the start of a page, so it is aligned. From there on, `size` bytes
        // and the rest of the last page are mapped, as one allocation of the kernel. The mapping
        // lasts until drop, after the borrow of self: System V segments never shrink, and a removal
        // unmaps nothing. An object can shrink: its mapping stays, and an access to a page that is
        // gone raises SIGBUS, which does not return to the access. A ReadOnlyWord is an AtomicU64
        // in memory: every bit pattern is valid, and the value may change behind the reference. It
        // has only relaxed loads. Read-only memory allows these up to the width of a pointer
        // (std::sync::atomic, "Atomic accesses to read-only memory").
        unsafe { words.as_ref() }
    }
}

/// A word in memory that can be mapped as read-only.
#[derive(Debug)]
#[repr(transparent)]
pub struct ReadOnlyWord(AtomicU64);

impl ReadOnlyWord {
    /// Loads the word, relaxed. Rust guarantees no other atomic access to read-only memory.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns whether a byte of the words is 0. `(word - ONES) & !word` sets the high bit of each byte
/// that is 0. It can set the high bit of other bytes too, but only if a byte of the word is 0.
fn has_nul(words: &[ReadOnlyWord; BLOCK]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let words = words.iter().map(ReadOnlyWord::load);
    let nuls = words.fold(0, |all, word| all | (word.wrapping_sub(ONES) & !word));
    nuls & (ONES << 7) != 0
}

impl Drop for Attachment {
    fn drop(&mut self) {
        match self.segment {
            // SAFETY: the address came from shmat, and self is its only owner. Each reference to the
            // mapping borrows self and so has ended.
            Some(_) => unsafe { sys::shmdt(self.address) },
            // SAFETY: as above; the address came from mmap, with this size.
            None => unsafe { sys::munmap(self.address, self.size) },
        }
    }
}

/// A segment or an object that is mapped for reading and writing. Dropping it removes the mapping.
#[derive(Debug)]
pub struct WritableAttachment(Attachment);

impl WritableAttachment {
    pub(crate) fn new(segment: Segment) -> Result<Self> {
        Attachment::new(segment, 0).map(Self)
    }

    pub(crate) fn of_object(object: BorrowedFd, size: usize) -> Result<Self, Errno> {
        Attachment::of_object(object, size, true).map(Self)
    }

    /// Copies `bytes` into the segment from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] if they do not all fit; then nothing is written.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.size) {
            return Err(Error::OutOfBounds {
                offset: offset as u64,
                length: bytes.len() as u64,
                size: self.size as u64,
            });
        }
        if bytes.is_empty() {
            return Ok(());
        }
        fence(Ordering::Release);
        let (first, skipped) = (offset / WORD, offset % WORD);
        let (head, rest) = bytes.split_at(bytes.len().min((WORD - skipped) % WORD));
        let mut words = self.words()[first..].iter();
        if !head.is_empty() {
            words.next().into_iter().for_each(|word| store_part(word, skipped, head));
        }
        let (whole, tail) = rest.as_chunks();
        for (bytes, word) in whole.iter().zip(&mut words) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        if !tail.is_empty() {
            words.next().into_iter().for_each(|word| store_part(word, 0, tail));
        }
        Ok(())
    }

    /// Reads from a descriptor into the bytes of `range`, `read(2)`; with `at`, from this offset of
    /// a file, `pread(2)`. Returns the number of bytes, 0 at the end of the input.
    ///
    /// # Errors
    ///
    /// Those of `read(2)` and `pread(2)`; `EFAULT` if the kernel has no page for a part of it.
    pub fn read_from(
        &self,
        source: BorrowedFd,
        at: Option<u64>,
        range: Range<usize>,
    ) -> Result<usize, Errno> {
        let (address, length) = self.part(range);
        // SAFETY: `part` lies inside the mapping, which outlives the call and is mapped for
        // writing. Only references to atomics cover it, so the kernel may change it as
        // any other process may.
        unsafe { sys::read(source, at, address, length) }
    }

    /// Returns the whole mapping as writable words.
    fn words(&self) -> &[AtomicU64] {
        let words: *const [ReadOnlyWord] = self.0.words();
        // SAFETY: the words are borrowed as long as self. A ReadOnlyWord is an AtomicU64 in memory.
        // The memory is writable: a WritableAttachment is only made of a mapping for writing.
        unsafe { &*(words as *const [AtomicU64]) }
    }
}

/// Stores some bytes of a word. Does not change the others, even if they are stored to meanwhile.
fn store_part(word: &AtomicU64, skipped: usize, bytes: &[u8]) {
    let mut old = word.load(Ordering::Relaxed);
    loop {
        let mut new = old.to_ne_bytes();
        new[skipped..][..bytes.len()].copy_from_slice(bytes);
        let new = u64::from_ne_bytes(new);
        match word.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => old = now,
        }
    }
}

/// Memory that is mapped for reading, as words. The end is left out if it is not a whole word.
#[derive(Debug)]
pub struct Words(Attachment);

impl Attachment {
    /// Converts the attachment into one that gives access to its words.
    #[must_use]
    pub fn into_words(self) -> Words {
        Words(self)
    }
}

impl Deref for Words {
    type Target = [ReadOnlyWord];

    fn deref(&self) -> &[ReadOnlyWord] {
        &self.0.words()[..self.0.size / WORD]
    }
}

/// A segment or an object that is mapped for reading and writing, as words. See [`Words`].
#[derive(Debug)]
pub struct WritableWords(WritableAttachment);

impl WritableAttachment {
    /// Converts the attachment into one that gives access to its words.
    #[must_use]
    pub fn into_words(self) -> WritableWords {
        WritableWords(self)
    }
}

impl Deref for WritableWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        &self.0.words()[..self.0.size / WORD]
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

#[cfg(test)]
mod tests {
    use std::array;
    use std::sync::atomic::AtomicU64;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{BLOCK, ReadOnlyWord, WORD, has_nul};

    proptest! {
        #[test]
        fn only_a_nul_is_found(
            bytes in vec(prop_oneof![1 => Just(0), 60 => 1..=u8::MAX, 60 => Just(0x80)], BLOCK * WORD),
        ) {
            let words = bytes.as_chunks().0;
            let words = array::from_fn(|at| ReadOnlyWord(AtomicU64::new(u64::from_ne_bytes(words[at]))));
            prop_assert_eq!(has_nul(&words), bytes.contains(&0));
        }
    }
}
