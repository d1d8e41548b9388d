//! Whether a segment is a frame.

use std::sync::atomic::Ordering;

use shm_core::{Errno, Key, Segment};

use crate::error::{Error, FrameError, Result};
use crate::layout::{self, MARK, VERSION_SHIFT, WORD};
use crate::protocol::Load;

/// How many words must be zero before a segment is made a frame. Reading a page that was never written
/// allocates it, so the rest is not read.
const BLANK: usize = 64 * 1024 / WORD;

/// Returns whether the first word of a segment is the mark of a frame, of any version and byte order.
/// A reader that takes the frame for a text reads the mark.
#[must_use]
pub fn is_mark(first_word: [u8; WORD]) -> bool {
    let mark = u64::from_ne_bytes(first_word);
    let same_name = |mark: u64| (mark ^ MARK) << (u64::BITS - VERSION_SHIFT) == 0;
    // A longer text can begin with the same letters. No version has more than one byte.
    let is_version = |mark: u64| u8::try_from(mark >> VERSION_SHIFT).is_ok();
    [mark, mark.swap_bytes()].into_iter().any(|mark| same_name(mark) && is_version(mark))
}

/// Checks that the words are a frame that this program can read.
pub(crate) fn check<W: Load>(key: Key, words: &[W]) -> Result<()> {
    let mark = words.first().map_or(0, Load::load);
    // Pairs with the release store of the process that made the frame.
    W::fence(Ordering::Acquire);
    let error = if mark == MARK {
        if layout::capacity_of_words(words.len()) > 0 {
            return Ok(());
        }
        FrameError::TooSmall { size: (words.len() * WORD) as u64 }
    } else if mark.swap_bytes() == MARK {
        FrameError::ByteOrder
    } else if (mark ^ MARK) << (u64::BITS - VERSION_SHIFT) == 0 {
        FrameError::Version((mark >> VERSION_SHIFT) as u16)
    } else if is_zero(words, layout::HEADER) {
        FrameError::Blank
    } else {
        FrameError::NotFramed
    };
    Err(Error::Frame { key, error })
}

/// Returns whether the words are to be made a frame. Fails if they are no frame and cannot become one.
pub(crate) fn is_blank<W: Load>(key: Key, words: &[W]) -> Result<bool> {
    match check(key, words) {
        Err(Error::Frame { error: FrameError::Blank, .. }) if is_zero(words, BLANK) => Ok(true),
        Err(Error::Frame { error: FrameError::Blank, .. }) => {
            Err(Error::Frame { key, error: FrameError::NotFramed })
        }
        checked => checked.map(|()| false),
    }
}

/// Refuses a segment that is no frame and cannot become one. This changes nothing that another process
/// can see: a semaphore with the same key can belong to another program.
pub(crate) fn refuse_foreign_segment(key: Key) -> Result<()> {
    match Segment::open(key).and_then(Segment::attach) {
        Ok(attachment) => is_blank(key, &attachment.into_words()).map(drop),
        // There is none, or it was removed meanwhile.
        Err(error)
            if matches!(error.errno(), Some(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM)) =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn is_zero<W: Load>(words: &[W], count: usize) -> bool {
    words.iter().take(count).all(|word| word.load() == 0)
}

#[cfg(test)]
mod tests {
    use super::{MARK, is_mark};

    #[test]
    fn a_mark_is_known_in_each_byte_order_and_version() {
        assert!(is_mark(MARK.to_le_bytes()) && is_mark(MARK.to_be_bytes()));
        assert!(is_mark(*b"SHMFRM\x01\0"));
        for text in [b"SHMFRM it", b"shmfrm\x02\0h", b"\0\0\0\0\0\0\0\0\0"] {
            assert!(!is_mark(text[..8].try_into().unwrap()), "{text:?}");
        }
    }
}
