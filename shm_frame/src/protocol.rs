//! How a message is written and read. The words are real or those of a model.
//!
//! The writer that holds the lock announces the next generation in BEGUN. It fills the slot of that
//! generation, which is not the published slot. Then it publishes the generation. A reader loads
//! PUBLISHED, copies the slot of that generation, and loads BEGUN. The slot is written again only
//! for the generation after the next one, so the copy is whole as long as that one has not begun.
//! Readers store nothing.
//!
//! # Why the orderings suffice
//!
//! *A reader sees at least what was published with the generation that it loaded.* The writer
//! stores PUBLISHED with Release after the message. The reader's load of PUBLISHED is relaxed,
//! because only relaxed loads are certain to work on read-only memory. An Acquire fence follows the
//! load. The store synchronizes with the fence, so the message happens before the reader's loads of
//! it.
//!
//! *A reader that sees any word of a later message sees that this message has begun.* This is the
//! problem of the seqlock. The loads of the message are relaxed, so without a fence the load of
//! BEGUN could take effect before them. The stores to the slot are relaxed too, so without a fence
//! a reader could see them before the store to BEGUN. So there are two fences: Release between the
//! writer's store to BEGUN and its stores to the slot, Acquire between the reader's loads of the
//! slot and its load of BEGUN. If one of these loads returns the value of one of these stores, the
//! fences synchronize. Then the store to BEGUN happens before the load of BEGUN, which returns that
//! generation or a later one.
//!
//! *Generations only grow.* Only the holder of the lock stores them, and the semaphore orders the
//! holders. A writer sees all stores of the writer before it, even of a killed one, because the
//! kernel takes the same internal lock when it undoes the operations of a dead process. A writer
//! that follows a killed one begins the same generation again, in the same slot, which no reader
//! was given.

#[cfg(all(test, loom))]
mod model;

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

use shm_core::attachment::ReadOnlyWord;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::layout::{self, BEGUN, BYTES, CHECKSUM, LENGTH, PUBLISHED, WORD};
use crate::state::WriteState;

/// A word with a relaxed load, and the fence for it.
pub(super) trait Load {
    fn load(&self) -> u64;
    fn fence(ordering: Ordering);
}

/// A word that also has a store.
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

/// Why an attempt to read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TryReadError {
    /// Nothing was published yet.
    Empty,
    /// Writers were faster: the slot may have changed during the copy.
    Overtaken,
    /// The copy is from one generation, but its length is more than a slot has.
    TooLong(u64),
    /// There is no memory for a copy of this many bytes.
    OutOfMemory(u64),
    /// The copy is from one generation, but no writer of frames wrote it.
    Checksum,
}

/// Copies the published message into `buffer` and returns its generation. After an error the
/// contents of `buffer` are unspecified.
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
    // A message that is too long is not copied.
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
    // A message of this generation or the next one; the next one is written to the other slot.
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

/// Announces the next generation and returns it. Returns `None` after the last generation, which no
/// writer of frames reaches.
pub(super) fn begin<W: Store>(words: &[W]) -> Option<u64> {
    // The lock orders this load after all stores of the writer before.
    let next = words[PUBLISHED].load().checked_add(1)?;
    words[BEGUN].store(next, Relaxed);
    W::fence(Release);
    Some(next)
}

/// Stores a message, at most as long as the capacity, in the slot of the generation that was begun.
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

/// Publishes the generation that was filled.
pub(super) fn publish<W: Store>(words: &[W], generation: u64) {
    words[PUBLISHED].store(generation, Release);
}

/// Returns the published generation; 0 before the first message.
pub(super) fn published<W: Load>(words: &[W]) -> u64 {
    words[PUBLISHED].load()
}

/// Returns whether the message after that of `generation` is being written. `is_taken` returns
/// whether a process holds the lock.
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
    // Neither number ever decreases. If both are the same before and after a moment at which no
    // process holds the lock, they have these values at that moment: a message was begun, it is not
    // published, and no writer is left to publish it. The last holder of the lock will store
    // nothing more. This process sees all its stores, because the lock was released before it was
    // found free.
    match is_taken() {
        None => WriteState::Unknown,
        Some(false) if generations() == (published, begun) => WriteState::Died,
        Some(_) => WriteState::UnderWay,
    }
}

/// Returns the checksum of a message. It detects stores by programs that do not use the protocol.
fn checksum(generation: u64, message: &[u8]) -> u64 {
    xxh3_64_with_seed(message, generation)
}
