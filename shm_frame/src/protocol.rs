//! How a message gets in and out, on words that may be real or a model's.
//!
//! The writer who has the turn announces the next generation in BEGUN, fills its slot, which is not
//! the published one, and publishes it. A reader takes PUBLISHED, copies that generation's slot, and
//! looks at BEGUN: the slot is written again only for the generation after the next, so as long as
//! that has not begun the copy is whole. Readers store nothing.
//!
//! # Why the orderings suffice
//!
//! *A reader sees at least what was published with the generation that it took.* The writer stores
//! PUBLISHED with Release behind the message. The reader's load of it is relaxed, since only relaxed
//! loads are certain to work on read-only memory, with an Acquire fence behind: the store synchronizes
//! with the fence, and the message happens before the reader's loads of it.
//!
//! *A reader that sees any word of a later message sees that it has begun.* This is the seqlock's
//! problem: the loads of the message are relaxed, and nothing would keep the load of BEGUN behind
//! them from being done before them; nor the writer's store to BEGUN from being seen after its relaxed
//! stores to the slot. So there are two fences: Release between the writer's store to BEGUN and its
//! stores to the slot, Acquire between the reader's loads of the slot and its load of BEGUN. Where one
//! of those loads has the value of one of those stores, the fences synchronize, so that the store to
//! BEGUN happens before the load of it, which then gives that generation or a later one.
//!
//! *Generations only grow*, for they are stored by whoever has the turn, and the semaphore orders
//! them: a writer sees all that the one before it did, alive or killed, as the kernel takes the same
//! lock when it takes back a dead process's operations. A writer that follows a killed one begins the
//! same generation again, in the same slot, which nobody was given.

#[cfg(all(test, loom))]
mod model;

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

use shm_core::attachment::ReadOnlyWord;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::WriteState;
use crate::layout::{self, BEGUN, BYTES, CHECKSUM, LENGTH, PUBLISHED, WORD};

/// A word that can be loaded, with relaxed ordering, and the fence that goes with it.
pub(super) trait Load {
    fn load(&self) -> u64;
    fn fence(ordering: Ordering);
}

/// A word that can be stored to as well.
pub(super) trait Store: Load {
    fn store(&self, value: u64, ordering: Ordering);
}

impl Load for ReadOnlyWord {
    fn load(&self) -> u64 {
        self.load()
    }

    fn fence(ordering: Ordering) {
        fence(ordering);
    }
}

impl Load for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Relaxed)
    }

    fn fence(ordering: Ordering) {
        fence(ordering);
    }
}

impl Store for AtomicU64 {
    fn store(&self, value: u64, ordering: Ordering) {
        self.store(value, ordering);
    }
}

/// Why an attempt to read gave no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TryReadError {
    /// Nothing was published yet.
    Empty,
    /// Writers were faster: the slot may have changed while it was copied.
    Overtaken,
    /// The copy is of one generation, but is longer than a slot.
    TooLong(u64),
    /// There is no memory for the copy, of so many bytes.
    OutOfMemory(u64),
    /// The copy is of one generation, but is not what a writer of frames put there.
    Checksum,
}

/// Copies the published message into `buffer` and returns its generation. Without one the buffer holds
/// anything.
pub(super) fn read<W: Load>(words: &[W], buffer: &mut Vec<u8>) -> Result<u64, TryReadError> {
    let published = words[PUBLISHED].load();
    W::fence(Acquire);
    if published == 0 {
        return Err(TryReadError::Empty);
    }
    let slot = &words[layout::slot(words.len(), published)];
    let length = slot[LENGTH].load();
    let checksum = slot[CHECKSUM].load();
    let bytes = &slot[BYTES..];
    let capacity = bytes.len() * WORD;
    // Of what is too long nothing is looked at.
    let kept = usize::try_from(length).ok().filter(|kept| *kept <= capacity).unwrap_or(0);
    let rounded = kept.next_multiple_of(WORD);
    let room = buffer.try_reserve_exact(rounded.saturating_sub(buffer.len()));
    if room.is_ok() {
        buffer.resize(rounded, 0);
        for (copy, word) in buffer.as_chunks_mut::<WORD>().0.iter_mut().zip(bytes) {
            *copy = word.load().to_ne_bytes();
        }
        buffer.truncate(kept);
    }

    W::fence(Acquire);
    let begun = words[BEGUN].load();
    // The same generation, or the next one, which is written into the other slot.
    if begun.wrapping_sub(published) > 1 {
        return Err(TryReadError::Overtaken);
    }
    if length > capacity as u64 {
        return Err(TryReadError::TooLong(length));
    }
    if room.is_err() {
        return Err(TryReadError::OutOfMemory(length));
    }
    if checksum != self::checksum(published, buffer) {
        return Err(TryReadError::Checksum);
    }
    Ok(published)
}

/// Announces the next generation; `None` where there is none, which no writer of frames gets to.
pub(super) fn begin<W: Store>(words: &[W]) -> Option<u64> {
    // The turn orders this behind all that the writer before did.
    let next = words[PUBLISHED].load().checked_add(1)?;
    words[BEGUN].store(next, Relaxed);
    W::fence(Release);
    Some(next)
}

/// Puts a message of at most the capacity into the slot of the generation that was begun.
pub(super) fn fill<W: Store>(words: &[W], generation: u64, message: &[u8]) {
    let slot = &words[layout::slot(words.len(), generation)];
    slot[LENGTH].store(message.len() as u64, Relaxed);
    slot[CHECKSUM].store(checksum(generation, message), Relaxed);
    let (whole, rest) = message.as_chunks::<WORD>();
    for (word, bytes) in slot[BYTES..].iter().zip(whole) {
        word.store(u64::from_ne_bytes(*bytes), Relaxed);
    }
    if !rest.is_empty() {
        let mut bytes = [0; WORD];
        bytes[..rest.len()].copy_from_slice(rest);
        slot[BYTES + whole.len()].store(u64::from_ne_bytes(bytes), Relaxed);
    }
}

/// Gives the generation that was filled to the readers.
pub(super) fn publish<W: Store>(words: &[W], generation: u64) {
    words[PUBLISHED].store(generation, Release);
}

/// The generation that is published; 0 where none is.
pub(super) fn published<W: Load>(words: &[W]) -> u64 {
    words[PUBLISHED].load()
}

/// Whether the message after that of `generation` is being written, where `is_taken` finds out whether
/// somebody has the turn.
pub(super) fn writing<W: Load>(
    words: &[W],
    generation: u64,
    is_taken: impl FnOnce() -> Option<bool>,
) -> WriteState {
    let generations = || (words[PUBLISHED].load(), words[BEGUN].load());
    let (published, begun) = generations();
    if published != generation || begun == published {
        return WriteState::Idle;
    }
    // Neither number ever gets smaller. Where they are the same before and after a moment in which
    // nobody has the turn, they are so in that moment: begun, not published, and nobody there to do
    // it. Whoever had the turn before has done all that it ever will, and we see that: finding the turn
    // free comes after its being given back.
    match is_taken() {
        None => WriteState::Unknown,
        Some(false) if generations() == (published, begun) => WriteState::Died,
        Some(_) => WriteState::UnderWay,
    }
}

/// A second guard, against what the protocol cannot see: memory that somebody else wrote to.
fn checksum(generation: u64, message: &[u8]) -> u64 {
    xxh3_64_with_seed(message, generation)
}
