//! The reading side of a frame.

use shm_core::attachment::Words;
use shm_core::{Key, Segment};

use crate::check::check;
use crate::error::{Error, FrameError, Result};
use crate::layout;
use crate::protocol::{self, TryReadError};
use crate::retry::{RetriesExhausted, retry};
use crate::state::WriteState;
use crate::writer_lock::WriterLock;

/// A frame that is attached for reading.
#[derive(Debug)]
pub struct Reader {
    key: Key,
    segment: Segment,
    words: Words,
}

impl Reader {
    /// Attaches the frame that `key` names.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::open`] and [`Segment::attach`]; [`Error::Frame`] for a segment that is not
    /// framed, too small, or made by another version or architecture.
    pub fn open(key: Key) -> Result<Self> {
        let segment = Segment::open(key)?;
        let words = segment.attach()?.into_words();
        check(key, &words)?;
        Ok(Self { key, segment, words })
    }

    /// Replaces the contents of `message` by the published message. Returns its generation: the number
    /// of messages that were published up to it.
    ///
    /// # Errors
    ///
    /// [`Error::Frame`], with an empty `message`: [`FrameError::Empty`] before the first message;
    /// [`FrameError::Unsteady`] if writers overwrote it during each attempt for a second; other
    /// [`FrameError`]s for damaged memory.
    pub fn read(&self, message: &mut Vec<u8>) -> Result<u64> {
        let error = match protocol::read(&self.words, message) {
            Ok(generation) => return Ok(generation),
            Err(TryReadError::Empty) => FrameError::Empty(self.writing(0)),
            Err(first_error) => match self.read_again(first_error, message) {
                Ok(generation) => return Ok(generation),
                Err(error) => error,
            },
        };
        message.clear();
        Err(Error::Frame { key: self.key, error })
    }

    fn read_again(
        &self,
        first_error: TryReadError,
        message: &mut Vec<u8>,
    ) -> Result<u64, FrameError> {
        let read = || protocol::read(&self.words, message);
        retry(first_error, || self.generation(), read).map_err(|exhausted| self.error(&exhausted))
    }

    fn error(&self, exhausted: &RetriesExhausted) -> FrameError {
        let &RetriesExhausted { last_error, attempts, time, moved_on } = exhausted;
        match last_error {
            TryReadError::Empty => FrameError::Empty(self.writing(0)),
            TryReadError::Overtaken if moved_on => FrameError::Unsteady { attempts, time },
            TryReadError::Overtaken => FrameError::Generations,
            TryReadError::OutOfMemory(length) => FrameError::OutOfMemory { length },
            TryReadError::TooLong(length) => {
                FrameError::TooLong { length, capacity: self.capacity() as u64 }
            }
            TryReadError::Checksum => FrameError::Checksum,
        }
    }

    /// Returns the generation of the published message; 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        protocol::published(&self.words)
    }

    /// Returns whether the message after that of `generation` is being written.
    #[must_use]
    pub fn writing(&self, generation: u64) -> WriteState {
        protocol::writing(&self.words, generation, || WriterLock::is_taken(self.key))
    }

    /// Returns how many bytes a message can have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        layout::capacity_of_words(self.words.len())
    }

    /// Returns the segment.
    #[must_use]
    pub fn segment(&self) -> Segment {
        self.segment
    }
}
