//! The layout of a framed segment, in words of 64 bits.
//!
//! ```text
//! word  0       MARK: "SHMFRM" and the version, stored last when the frame is created
//! word  1       PUBLISHED: the generation of the message that readers get; 0: none yet
//! word  2       BEGUN: the generation of the last message that a writer began
//! words 3..8    unused, so that the header fills a cache line
//! words 8..     slot 0, for even generations, then slot 1, for odd ones; each has
//!               LENGTH in bytes, CHECKSUM: the 64-bit XXH3 of the bytes with the generation as
//!               the seed, then the bytes
//! ```
//!
//! The segment's size, which the kernel returns, determines the places of the slots. The contents
//! of the segment, which other processes can change, never decide which words are read or written.

use std::ops::Range;

/// The version of the layout, a part of the mark. The checksum of version 1 was a CRC-32.
pub(super) const VERSION: u16 = 2;

/// On little-endian machines, "SHMFRM" in memory, followed by the version.
pub(super) const MARK: u64 = u64::from_le_bytes(*b"SHMFRM\0\0") | (VERSION as u64) << VERSION_SHIFT;
pub(super) const VERSION_SHIFT: u32 = 48;

pub(super) const PUBLISHED: usize = 1;
pub(super) const BEGUN: usize = 2;
pub(super) const HEADER: usize = 8;

/// The offsets in a slot, in words.
pub(super) const LENGTH: usize = 0;
pub(super) const CHECKSUM: usize = 1;
pub(super) const BYTES: usize = 2;

pub(super) const WORD: usize = size_of::<u64>();

/// Returns the number of words of a slot in a segment of `words` words; 0 if two slots with space
/// for a message do not fit.
pub(super) fn slot_words(words: usize) -> usize {
    let slot = words.saturating_sub(HEADER) / 2;
    if slot > BYTES { slot } else { 0 }
}

/// Returns the words of the slot for a generation.
pub(super) fn slot(words: usize, generation: u64) -> Range<usize> {
    let size = slot_words(words);
    let start = HEADER + if generation.is_multiple_of(2) { 0 } else { size };
    start..start + size
}

/// Returns the largest size of a message in bytes in a segment of `words` words.
pub(super) fn capacity_of_words(words: usize) -> usize {
    slot_words(words).saturating_sub(BYTES) * WORD
}

/// Returns how many bytes a message can have in a segment of `size` bytes; 0 if there is no space for
/// any.
#[must_use]
pub fn capacity(size: usize) -> usize {
    capacity_of_words(size / WORD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HEADER, MARK, capacity_of_words, slot, slot_words};

    #[test]
    fn the_mark_is_readable_and_shows_the_byte_order() {
        assert_eq!(MARK.to_le_bytes(), *b"SHMFRM\x02\0");
        assert_ne!(MARK, MARK.swap_bytes());
    }

    #[test]
    fn a_segment_of_1024_bytes_holds_messages_of_464() {
        assert_eq!(capacity_of_words(1024 / 8), 464);
        assert_eq!((capacity_of_words(13), capacity_of_words(14)), (0, 8));
    }

    proptest! {
        #[test]
        fn slots_are_after_the_header_and_do_not_overlap(words in 0..usize::MAX, generation: u64) {
            let (one, other) = (slot(words, generation), slot(words, generation ^ 1));
            let (first, second) = if one.start < other.start { (one, other) } else { (other, one) };
            if slot_words(words) > 0 {
                prop_assert!(HEADER <= first.start && first.end <= second.start);
                prop_assert!(second.end <= words);
            }
        }
    }
}
