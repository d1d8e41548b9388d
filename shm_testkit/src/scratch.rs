//! Unique keys and names for shared memory, removed at the end of a test, and contents for it.

use std::fs;
use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};

use shm_core::posix::{Location, Name};
use shm_core::{IpcObject, Key, Segment};

static COUNT: AtomicI32 = AtomicI32::new(0);

/// A unique key; dropping it removes the segment and the semaphores with that key.
#[derive(Debug)]
pub struct ScratchKey(Key);

impl ScratchKey {
    /// Returns a key that no other test uses, in this program or another. A program can have 256
    /// keys and names.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each call returns a different one")]
    pub fn new() -> Self {
        // Process ids have at most 22 bits; bit 30 keeps the default key out of the range.
        let pid = process::id().cast_signed() & 0x3f_ffff;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        assert!(count < 0x100, "a test program has at most 256 scratch keys and names");
        Self(Key::new(0x4000_0000 | pid << 8 | count).unwrap())
    }
}

impl Deref for ScratchKey {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.0
    }
}

impl Drop for ScratchKey {
    fn drop(&mut self) {
        if let Ok(segment) = Segment::find(self.0) {
            segment.remove().unwrap();
        }
        // The semaphore of a frame's writer lock; most keys have none.
        let _ = IpcObject::Semaphores(self.0).remove();
    }
}

/// A unique name of a POSIX object; dropping it removes the object.
#[derive(Debug)]
pub struct ScratchName(String);

impl ScratchName {
    /// Returns a name that no other test uses, in this program or another.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each call returns a different one")]
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("/shm_tools_test.{}.{count}", process::id()))
    }

    /// Returns the location of the object with this name.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::Posix(self.0.parse::<Name>().unwrap())
    }
}

impl Deref for ScratchName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for ScratchName {
    fn drop(&mut self) {
        // Some tests have removed it already; others have put something other than a file there.
        let _ = fs::remove_file(self.location().path());
    }
}

/// Creates a segment with an unused key.
#[must_use]
#[track_caller]
pub fn make(key: i32, size: usize, mode: u32) -> Segment {
    Segment::create_new(Key::new(key).unwrap(), size, mode).unwrap()
}

/// Returns a text of `length` bytes without a NUL, in which no part repeats.
#[must_use]
pub fn long_text(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| format!("{number} ").into_bytes()).take(length).collect()
}
