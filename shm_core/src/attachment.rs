//! Mapped segments.
//!
//! Other processes may write to a segment at any moment, and so may other threads and other
//! attachments of this one. No `&[u8]` of it is ever formed. Two things touch its bytes:
//!
//! - This process, through atomics of one size: the mapping is a row of aligned words, and each
//!   access, of whatever bytes, is a relaxed one of whole words. Racing accesses mix old and new
//!   bytes and do nothing worse. Races of atomics that differ in size, or that overlap in part,
//!   are undefined in Rust (`std::sync::atomic`, "Memory model for atomic accesses"): there are
//!   none, for every attachment starts at a page, so that all divide a segment into the same
//!   words. The bytes beside those that are written in a word stay what they are at that instant,
//!   by compare and exchange. A word moves eight bytes in the time of one: memory is the limit.
//! - The kernel, for `read(2)` and `write(2)`, as if it were another process.
//!
//! What is written is ordered behind what was written before it, and what is read before what is
//! read after it: whoever sees the byte that is written last sees those before it.
//!
//! [`Words`] and [`WritableWords`] give protocols of several words access to the same words.
#![expect(unsafe_code, reason = "views of the mapping; each block argues for itself")]

use std::ops::{Deref, Range};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::sys;
pub use crate::sys::Advice;
use crate::{Errno, Error, Result, Segment};

const WORD: usize = size_of::<u64>();
/// How many words are searched for a NUL at once.
const BLOCK: usize = 8;

/// A segment mapped for reading; detached when dropped.
#[derive(Debug)]
pub struct Attachment {
    segment: Segment,
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: an attachment belongs to the whole process, not to the thread that made it: any thread
// may detach it. It is accessed through atomics and by the kernel alone.
unsafe impl Send for Attachment {}
// SAFETY: its methods take `&self` and access the mapping through atomics or have the kernel do it.
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
        let mut attachment = Self { segment, address, size: 0 };
        // A segment fits the address space: it has just been mapped.
        attachment.size = usize::try_from(segment.stat()?.size).unwrap_or(usize::MAX);
        Ok(attachment)
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> Segment {
        self.segment
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

    /// Where the first NUL in `range` is, looked for in place; what lies outside has none. What was
    /// written before a byte that is found not to be one is there for what is read next.
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

    /// Has the kernel write the bytes of `range` to a descriptor, `write(2)`; returns how many.
    ///
    /// # Errors
    ///
    /// Those of `write(2)`; `EFAULT` where the kernel has no page for a part of the segment.
    pub fn write_to(&self, range: Range<usize>, target: BorrowedFd) -> Result<usize, Errno> {
        let (address, length) = self.part(range);
        // SAFETY: `part` lies inside the mapping, which outlives the call. The kernel only reads it,
        // which races with nobody that this process knows as more than a mix of bytes.
        unsafe { sys::write(target, address, length) }
    }

    /// Has the kernel enter the pages of `range` into the page tables ahead, many at a time instead of
    /// by a fault for each, or take them out before the end, when one thread does it for all. What it
    /// does not do now happens when a page is touched, or at the end.
    pub fn advise(&self, range: Range<usize>, advice: Advice) {
        let (address, length) = self.part(range);
        if length > 0 {
            // SAFETY: `part` lies inside the mapping, which outlives the call and is a segment's.
            unsafe { sys::advise(address, length, advice) };
        }
    }

    /// The part of `range` that is mapped.
    fn part(&self, range: Range<usize>) -> (NonNull<u8>, usize) {
        let start = range.start.min(self.size);
        let length = range.end.min(self.size).saturating_sub(start);
        // SAFETY: start <= size: the result is in the mapping, or one past its end.
        (unsafe { self.address.add(start) }, length)
    }

    /// The whole mapping, the rest of its last word included.
    fn words(&self) -> &[ReadOnlyWord] {
        let count = self.size.div_ceil(WORD);
        let words = NonNull::slice_from_raw_parts(self.address.cast(), count);
        // SAFETY: the address is a page's and so aligned. `size` bytes from there on, and the rest
        // of the last page, are mapped, as one allocation of the kernel's, until drop, which the
        // borrow of self precedes: System V segments never shrink, and removal spares mappings. A
        // ReadOnlyWord is an AtomicU64 in memory: any bit pattern is valid, and it allows for changes
        // behind the reference. It has relaxed loads alone, which read-only memory allows up to the
        // width of a pointer (std::sync::atomic, "Atomic accesses to read-only memory").
        unsafe { words.as_ref() }
    }
}

/// A word that may lie in memory which is mapped for reading alone.
#[derive(Debug)]
#[repr(transparent)]
pub struct ReadOnlyWord(AtomicU64);

impl ReadOnlyWord {
    /// A relaxed load, the only atomic access that read-only memory is certain to allow.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether any byte of the words is 0. `(word - ONES) & !word` has the high bit of each byte that is 0. In a
/// word with such a byte it may have the high bit of others too, in a word without one it has none.
fn has_nul(words: &[ReadOnlyWord; BLOCK]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let words = words.iter().map(ReadOnlyWord::load);
    let nuls = words.fold(0, |all, word| all | (word.wrapping_sub(ONES) & !word));
    nuls & (ONES << 7) != 0
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

    /// Has the kernel read from a descriptor, or from a place of its file, into the bytes of `range`,
    /// `read(2)` or `pread(2)`; returns how many came, 0 at the end of the input.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`; `EFAULT` where the kernel has no page for a part of the segment.
    pub fn read_from(
        &self,
        source: BorrowedFd,
        at: Option<u64>,
        range: Range<usize>,
    ) -> Result<usize, Errno> {
        let (address, length) = self.part(range);
        // SAFETY: `part` lies inside the mapping, which outlives the call, and it was made by shmat
        // without SHM_RDONLY. Nothing but atomics refers to it: the kernel changes it as any other
        // process may.
        unsafe { sys::read(source, at, address, length) }
    }

    /// The whole mapping, as words that may be stored to.
    fn words(&self) -> &[AtomicU64] {
        let words: *const [ReadOnlyWord] = self.0.words();
        // SAFETY: the words are borrowed as long as self, and a ReadOnlyWord is an AtomicU64 in memory.
        // They may be stored to: a WritableAttachment is made only by shmat without SHM_RDONLY.
        unsafe { &*(words as *const [AtomicU64]) }
    }
}

/// Stores some bytes of a word. The others stay what they are, whoever stores to them meanwhile.
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

/// A segment mapped for reading, seen as words; bytes at its end that make no whole word are left out.
#[derive(Debug)]
pub struct Words(Attachment);

impl Attachment {
    /// Gives up the view by bytes for the one by words.
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

/// A segment mapped for reading and writing, seen as words, as [`Words`] are.
#[derive(Debug)]
pub struct WritableWords(WritableAttachment);

impl WritableAttachment {
    /// Gives up the view by bytes for the one by words.
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
        fn a_nul_is_found_and_nothing_else(
            bytes in vec(prop_oneof![1 => Just(0), 60 => 1..=u8::MAX, 60 => Just(0x80)], BLOCK * WORD),
        ) {
            let words = bytes.as_chunks().0;
            let words = array::from_fn(|at| ReadOnlyWord(AtomicU64::new(u64::from_ne_bytes(words[at]))));
            prop_assert_eq!(has_nul(&words), bytes.contains(&0));
        }
    }
}
