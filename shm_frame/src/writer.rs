//! The writing side of a frame.

use std::sync::atomic::Ordering;
use std::time::Duration;

use shm_core::attachment::WritableWords;
use shm_core::{Access, Errno, Key, Origin, Segment};

use crate::check::{is_blank, refuse_foreign_segment};
use crate::error::{Error, FrameError, Result};
use crate::layout::{self, MARK, capacity};
use crate::protocol;
use crate::writer_lock::WriterLock;

/// Permission to read and write for the owner.
const OWNER: u32 = 0o600;

/// A frame that is attached for writing, and the write lock: other writers wait until it is dropped.
#[derive(Debug)]
pub struct Writer {
    key: Key,
    segment: Segment,
    words: WritableWords,
    lock: WriterLock,
}

impl Writer {
    /// Waits at most `limit` for the write lock, then attaches the frame that `key` names, of at least
    /// `size` bytes. Creates the frame and the lock if they do not exist, with the permission bits
    /// `mode`.
    ///
    /// A segment that starts with 64 KiB of zeroes, or has nothing but zeroes, becomes a frame: its
    /// creator may have died before it made it one. Any other segment, and any set of semaphores that
    /// is not a frame's lock, is refused before a semaphore changes.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::open_or_create`], [`Segment::attach_writable`] and [`Reader::open`];
    /// [`shm_core::Error::IpcObject`] if the semaphore cannot be used; [`Error::Frame`]:
    /// [`FrameError::Mode`], [`FrameError::Busy`] and [`FrameError::NotALock`].
    ///
    /// [`Reader::open`]: crate::Reader::open
    pub fn open_or_create(
        key: Key,
        size: usize,
        mode: u32,
        limit: Duration,
    ) -> Result<(Self, Origin)> {
        refuse_foreign_segment(key)?;
        Self::open(key, size, mode, limit, || Segment::open_or_create(key, size, mode))
    }

    /// Like [`open_or_create`](Self::open_or_create), but the segment must not exist.
    ///
    /// # Errors
    ///
    /// As for [`open_or_create`](Self::open_or_create); [`shm_core::Error::Get`] with `EEXIST`.
    pub fn create_new(key: Key, size: usize, mode: u32, limit: Duration) -> Result<Self> {
        if Segment::find(key).is_ok() {
            // What the kernel would return, but before a semaphore changes.
            let (key, errno) = (Some(key), Errno::EEXIST);
            let access = Access::Create;
            let error = shm_core::Error::Get { key, size, access, huge: false, errno };
            return Err(error.into());
        }
        let create = || Ok((Segment::create_new(key, size, mode)?, Origin::Created));
        Ok(Self::open(key, size, mode, limit, create)?.0)
    }

    fn open(
        key: Key,
        size: usize,
        mode: u32,
        limit: Duration,
        get: impl FnOnce() -> shm_core::Result<(Segment, Origin)>,
    ) -> Result<(Self, Origin)> {
        if capacity(size) == 0 {
            return Err(Error::Frame { key, error: FrameError::TooSmall { size: size as u64 } });
        }
        if mode & OWNER != OWNER {
            return Err(Error::Frame { key, error: FrameError::Mode(mode) });
        }
        let lock = WriterLock::take(key, mode, limit)?;
        match attach(key, get) {
            Ok((segment, words, origin)) => Ok((Self { key, segment, words, lock }, origin)),
            Err(error) => {
                lock.remove_if_made();
                Err(error)
            }
        }
    }

    /// Publishes a message and returns its generation: one more than that of the message before.
    ///
    /// # Errors
    ///
    /// [`shm_core::Error::OutOfBounds`], with nothing written, if the message has more bytes than the
    /// [`capacity`](Self::capacity); [`Error::Frame`] if the frame is damaged.
    pub fn write(&mut self, message: &[u8]) -> Result<u64> {
        if message.len() > self.capacity() {
            let (length, size) = (message.len() as u64, self.capacity() as u64);
            return Err(shm_core::Error::OutOfBounds { offset: 0, length, size }.into());
        }
        let generation = protocol::begin(&self.words)
            .ok_or(Error::Frame { key: self.key, error: FrameError::Generations })?;
        protocol::fill(&self.words, generation, message);
        protocol::publish(&self.words, generation);
        Ok(generation)
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

    /// Removes the segment and the semaphores. Writers that wait for the lock make new ones.
    ///
    /// # Errors
    ///
    /// [`shm_core::Error::Control`] or [`shm_core::Error::IpcObject`]: `EPERM` unless the user is owner,
    /// creator or privileged.
    pub fn remove(self) -> Result<()> {
        self.segment.remove()?;
        self.lock.remove()
    }
}

fn attach(
    key: Key,
    get: impl FnOnce() -> shm_core::Result<(Segment, Origin)>,
) -> Result<(Segment, WritableWords, Origin)> {
    let (segment, origin) = get()?;
    let words = segment.attach_writable()?.into_words();
    if is_blank(key, &words)? {
        // The rest of the header is 0 in a frame without a message.
        words[0].store(MARK, Ordering::Release);
    }
    Ok((segment, words, origin))
}

/// Removes the segment that `key` names, framed or not, and the semaphores. Waits at most `limit` for
/// the write lock. If there are no semaphores it makes them, because no other writer creates a segment
/// while this one holds the lock.
///
/// Semaphores whose mode does not let their owner take the lock are removed without it.
///
/// # Errors
///
/// [`shm_core::Error::Get`] with `ENOENT` if there is neither; [`FrameError::Busy`] and
/// [`FrameError::NotALock`]; [`shm_core::Error::Control`] or [`shm_core::Error::IpcObject`]: `EPERM`
/// unless the user is owner, creator or privileged.
pub fn remove(key: Key, limit: Duration) -> Result<()> {
    let lock = match WriterLock::take_existing(key, limit) {
        Err(error) if error.errno() == Some(Errno::EACCES) => {
            WriterLock::remove_unusable(key)?;
            WriterLock::take(key, OWNER, limit)?
        }
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            // A writer that may use the segment must be able to wait for the lock.
            let mode = Segment::find(key)?.stat().map_or(OWNER, |stat| stat.mode | OWNER);
            WriterLock::take(key, mode, limit)?
        }
        lock => lock?,
    };
    match Segment::find(key).and_then(Segment::remove) {
        Err(error) if error.errno() != Some(Errno::ENOENT) => {
            lock.remove_if_made();
            Err(error.into())
        }
        // There is no segment if a process was killed after it removed it.
        _ => lock.remove(),
    }
}
