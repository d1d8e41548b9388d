//! Whole messages in a System V segment.
//!
//! Whoever reads a text from shared memory while it is written may get a mix of the old and the new
//! one. A frame has two slots: a writer fills the one that nobody is given and then publishes it with
//! one store. A reader gets one whole message, old or new, and never waits for a writer: it attaches
//! read-only, copies, and looks whether the slot was still its own. The layout is in `layout.rs`, why
//! the memory orderings suffice in `protocol.rs`.
//!
//! Writers take turns through a semaphore with the segment's key and mode. The turn of a process that
//! ends is given back by the kernel, so that one that is killed while it writes blocks nobody; what it
//! leaves, a message that was begun and not published, is told by [`Reader::writing`].
//!
//! All processes must have the same byte order.
//!
//! ```
//! use std::time::Duration;
//!
//! use shm_core::Key;
//! use shm_core::frame::{Reader, Writer, WriteState};
//!
//! # fn main() -> shm_core::Result<()> {
//! let key: Key = "0x5ca1ab1f".parse().unwrap();
//! let (mut writer, _) = Writer::open_or_create(key, 1024, 0o600, Duration::from_secs(1))?;
//! writer.write(b"one")?;
//!
//! let reader = Reader::open(key)?;
//! let mut message = Vec::new();
//! assert_eq!(reader.read(&mut message)?, 1);
//! assert_eq!(message, b"one");
//! assert_eq!(reader.writing(1), WriteState::Idle);
//!
//! writer.remove()?;
//! # Ok(())
//! # }
//! ```

mod error;
mod layout;
mod protocol;
mod retry;
mod writer_lock;

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

pub use self::error::FrameError;
use self::layout::{MARK, VERSION_SHIFT, WORD};
use self::protocol::{Load, TryReadError};
use self::retry::{RetriesExhausted, retry};
use self::writer_lock::WriterLock;
use crate::attachment::{Words, WritableWords};
use crate::{Errno, Error, Key, Origin, Result, Segment};

/// How many words of what may become a frame are looked at: looking at a page makes it.
const BLANK: usize = 64 * 1024 / WORD;
/// Permission to read and write for the owner.
const OWNER: u32 = 0o600;

/// Whether a message is being written, besides the one that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteState {
    /// None is, or it is published by now.
    Idle,
    /// A writer has begun one.
    UnderWay,
    /// A writer has begun one, and ended before it was published.
    Died,
    /// One was begun; whether by somebody who still lives cannot be told, for the semaphore is gone or
    /// not for this process to read.
    Unknown,
}

/// A framed segment that is attached for reading.
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

    /// Puts the published message into `message`, in place of what is there, and returns its
    /// generation: how many messages were published up to it.
    ///
    /// # Errors
    ///
    /// [`Error::Frame`]: [`FrameError::Empty`] before the first message; [`FrameError::Unsteady`] after a second
    /// in which writers were always faster; what else is wrong with the memory. `message` is empty
    /// then.
    pub fn read(&self, message: &mut Vec<u8>) -> Result<u64> {
        let flaw = match protocol::read(&self.words, message) {
            Ok(generation) => return Ok(generation),
            Err(TryReadError::Empty) => FrameError::Empty(self.writing(0)),
            Err(miss) => match self.read_again(miss, message) {
                Ok(generation) => return Ok(generation),
                Err(flaw) => flaw,
            },
        };
        message.clear();
        Err(Error::Frame { key: self.key, flaw })
    }

    fn read_again(&self, miss: TryReadError, message: &mut Vec<u8>) -> Result<u64, FrameError> {
        let read = || protocol::read(&self.words, message);
        retry(miss, || self.generation(), read).map_err(|given_up| self.flaw(&given_up))
    }

    fn flaw(
        &self,
        &RetriesExhausted { miss, attempts, time, moved_on }: &RetriesExhausted,
    ) -> FrameError {
        match miss {
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

    /// The generation of the published message; 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        protocol::published(&self.words)
    }

    /// Whether the message after that of `generation` is being written, or a writer has died of it.
    #[must_use]
    pub fn writing(&self, generation: u64) -> WriteState {
        protocol::writing(&self.words, generation, || WriterLock::is_taken(self.key))
    }

    /// How many bytes a message may have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        layout::capacity(self.words.len())
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> Segment {
        self.segment
    }
}

/// A framed segment that is attached for writing, and the turn to do so: as long as it lives, every
/// other writer waits.
#[derive(Debug)]
pub struct Writer {
    key: Key,
    segment: Segment,
    words: WritableWords,
    turn: WriterLock,
}

impl Writer {
    /// Waits at most `limit` for the turn, and attaches the frame that `key` names, of at least `size`
    /// bytes; makes both where they are not there, with the permission bits `mode`.
    ///
    /// A segment that starts with zeroes, 64 KiB of them or all there are, is made a frame, for its
    /// maker may have died before it was one. What is no frame is refused before any semaphore is
    /// touched, and so is a set of them that is no frame's.
    ///
    /// # Errors
    ///
    /// [`FrameError::Mode`] where the owner could not read and write; [`Error::IpcObject`] where the semaphore cannot be had; those of [`Segment::open_or_create`] and
    /// [`Segment::attach_writable`]; [`Error::Frame`]: [`FrameError::Busy`] where another writer keeps the
    /// turn, [`FrameError::NotALock`], and those of [`Reader::open`].
    pub fn open_or_create(
        key: Key,
        size: usize,
        mode: u32,
        limit: Duration,
    ) -> Result<(Self, Origin)> {
        look(key)?;
        Self::open(key, size, mode, limit, || Segment::open_or_create(key, size, mode))
    }

    /// As [`open_or_create`](Self::open_or_create), but there must be no segment yet.
    ///
    /// # Errors
    ///
    /// As there; [`Error::Get`] with `EEXIST`.
    pub fn create_new(key: Key, size: usize, mode: u32, limit: Duration) -> Result<Self> {
        if Segment::find(key).is_ok() {
            // As the kernel would answer, but before any semaphore is touched.
            return Err(Error::Get { key, size, create: true, errno: Errno::EEXIST });
        }
        let create = || Ok((Segment::create_new(key, size, mode)?, Origin::Created));
        Ok(Self::open(key, size, mode, limit, create)?.0)
    }

    fn open(
        key: Key,
        size: usize,
        mode: u32,
        limit: Duration,
        get: impl FnOnce() -> Result<(Segment, Origin)>,
    ) -> Result<(Self, Origin)> {
        if layout::capacity(size / WORD) == 0 {
            return Err(Error::Frame { key, flaw: FrameError::TooSmall { size: size as u64 } });
        }
        if mode & OWNER != OWNER {
            return Err(Error::Frame { key, flaw: FrameError::Mode(mode) });
        }
        let turn = WriterLock::take(key, mode, limit)?;
        let attached = get().and_then(|(segment, origin)| {
            let words = segment.attach_writable()?.into_words();
            if is_blank(key, &words)? {
                // All there is to do: the header of a frame without a message is zero.
                words[0].store(MARK, Ordering::Release);
            }
            Ok((segment, words, origin))
        });
        match attached {
            Ok((segment, words, origin)) => Ok((Self { key, segment, words, turn }, origin)),
            Err(error) => {
                turn.remove_if_made();
                Err(error)
            }
        }
    }

    /// Publishes a message and returns its generation: one more than that of the message before.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`], with nothing written, where it has more bytes than the
    /// [`capacity`](Self::capacity); [`Error::Frame`] where the frame is damaged.
    pub fn write(&mut self, message: &[u8]) -> Result<u64> {
        if message.len() > self.capacity() {
            let (length, size) = (message.len() as u64, self.capacity() as u64);
            return Err(Error::OutOfBounds { offset: 0, length, size });
        }
        let generation = protocol::begin(&self.words)
            .ok_or(Error::Frame { key: self.key, flaw: FrameError::Generations })?;
        protocol::fill(&self.words, generation, message);
        protocol::publish(&self.words, generation);
        Ok(generation)
    }

    /// How many bytes a message may have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        layout::capacity(self.words.len())
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// Removes the segment and the semaphore. Who waits for the turn makes new ones.
    ///
    /// # Errors
    ///
    /// [`Error::Control`] or [`Error::IpcObject`]: `EPERM` for whoever may not.
    pub fn remove(self) -> Result<()> {
        self.segment.remove()?;
        self.turn.remove()
    }
}

/// Removes the segment that `key` names, framed or not, and the semaphore, once no writer has the turn;
/// waits for that at most `limit`. Where there is no semaphore it is made: while the turn is ours
/// nobody else makes a segment.
///
/// A semaphore whose mode does not let its owner use it is removed without the turn.
///
/// # Errors
///
/// [`Error::Get`] with `ENOENT` where there is neither; [`FrameError::Busy`] and [`FrameError::NotALock`];
/// [`Error::Control`] or [`Error::IpcObject`]: `EPERM` for whoever may not.
pub fn remove(key: Key, limit: Duration) -> Result<()> {
    let turn = match WriterLock::take_existing(key, limit) {
        Err(error) if error.errno() == Some(Errno::EACCES) => {
            WriterLock::remove_unusable(key)?;
            WriterLock::take(key, OWNER, limit)?
        }
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            // Writers who may use the segment shall wait, and not be turned away.
            let mode = Segment::find(key)?.stat().map_or(OWNER, |stat| stat.mode | OWNER);
            WriterLock::take(key, mode, limit)?
        }
        turn => turn?,
    };
    match Segment::find(key).and_then(Segment::remove) {
        Err(error) if error.errno() != Some(Errno::ENOENT) => {
            turn.remove_if_made();
            Err(error)
        }
        // There was none where somebody who removed both was killed in between.
        _ => turn.remove(),
    }
}

/// How many bytes a message may have, in a segment of `size` bytes; 0 where there is no room for any.
#[must_use]
pub fn capacity(size: usize) -> usize {
    layout::capacity(size / WORD)
}

fn is_zero<W: Load>(words: &[W], count: usize) -> bool {
    words.iter().take(count).all(|word| word.load() == 0)
}

/// Refuses what has the key and is no frame, nor becomes one, while nothing was done that anybody else
/// could notice: a semaphore with the same key may be another program's.
fn look(key: Key) -> Result<()> {
    match Segment::open(key).and_then(Segment::attach) {
        Ok(attachment) => is_blank(key, &attachment.into_words()).map(drop),
        // None is there, or it was removed just now.
        Err(error)
            if matches!(error.errno(), Some(Errno::ENOENT | Errno::EINVAL | Errno::EIDRM)) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether it is to be made a frame; an error where it neither is one nor can be.
fn is_blank<W: Load>(key: Key, words: &[W]) -> Result<bool> {
    match check(key, words) {
        Err(Error::Frame { flaw: FrameError::Blank, .. }) if is_zero(words, BLANK) => Ok(true),
        Err(Error::Frame { flaw: FrameError::Blank, .. }) => {
            Err(Error::Frame { key, flaw: FrameError::NotFramed })
        }
        checked => checked.map(|()| false),
    }
}

/// Whether it is a frame that this program can read.
fn check<W: Load>(key: Key, words: &[W]) -> Result<()> {
    let mark = words.first().map_or(0, Load::load);
    // Pairs with the release of whoever made the frame.
    W::fence(Ordering::Acquire);
    let flaw = if mark == MARK {
        if layout::capacity(words.len()) > 0 {
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
    Err(Error::Frame { key, flaw })
}
