//! Where what lies in a framed segment, in words of 64 bits.
//!
//! ```text
//! word  0       MARK: "SHMFRM" and the version, put there last of all when the frame is made
//! word  1       PUBLISHED: the generation of the message that readers are given; 0: none yet
//! word  2       BEGUN: the generation of the message that was last begun to be written
//! words 3..8    unused: the header has a cache line of its own
//! words 8..     slot 0, with the even generations, then slot 1, with the odd ones; each:
//!               LENGTH in bytes, CHECKSUM: the 64-bit XXH3 of the bytes with the generation as
//!               the seed, then the bytes
//! ```
//!
//! The places of the slots follow from the segment's size, which the kernel tells. Nothing that
//! another process may have written decides where is read or written.

use std::ops::Range;

/// The version of the layout, which is in the mark. Version 1 had a CRC-32 as its checksum.
pub(super) const VERSION: u16 = 2;

/// "SHMFRM" in memory, followed by the version, where the lowest byte of a word comes first.
pub(super) const MARK: u64 = u64::from_le_bytes(*b"SHMFRM\0\0") | (VERSION as u64) << VERSION_SHIFT;
pub(super) const VERSION_SHIFT: u32 = 48;

pub(super) const PUBLISHED: usize = 1;
pub(super) const BEGUN: usize = 2;
pub(super) const HEADER: usize = 8;

/// Words of a slot before its bytes.
pub(super) const LENGTH: usize = 0;
pub(super) const CHECKSUM: usize = 1;
pub(super) const BYTES: usize = 2;

pub(super) const WORD: usize = size_of::<u64>();

/// How many words a slot has, of a segment of so many; 0 where there is no room for two that hold
/// anything.
pub(super) fn slot_words(words: usize) -> usize {
    let slot = words.saturating_sub(HEADER) / 2;
    if slot > BYTES { slot } else { 0 }
}

/// The words of the slot that a generation has.
pub(super) fn slot(words: usize, generation: u64) -> Range<usize> {
    let size = slot_words(words);
    let start = HEADER + if generation.is_multiple_of(2) { 0 } else { size };
    start..start + size
}

/// How many bytes a message may have, in a segment of so many words.
pub(super) fn capacity(words: usize) -> usize {
    slot_words(words).saturating_sub(BYTES) * WORD
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HEADER, MARK, capacity, slot, slot_words};

    #[test]
    fn the_mark_can_be_read_by_people_and_tells_the_byte_order() {
        assert_eq!(MARK.to_le_bytes(), *b"SHMFRM\x02\0");
        assert_ne!(MARK, MARK.swap_bytes());
    }

    #[test]
    fn a_segment_of_1024_bytes_holds_messages_of_464() {
        assert_eq!(capacity(1024 / 8), 464);
        assert_eq!((capacity(13), capacity(14)), (0, 8));
    }

    proptest! {
        #[test]
        fn slots_lie_behind_the_header_and_beside_each_other(words in 0..usize::MAX, generation: u64) {
            let (one, other) = (slot(words, generation), slot(words, generation ^ 1));
            let (first, second) = if one.start < other.start { (one, other) } else { (other, one) };
            if slot_words(words) > 0 {
                prop_assert!(HEADER <= first.start && first.end <= second.start);
                prop_assert!(second.end <= words);
            }
        }
    }
}
