//! The checksum of a text, which shows that the reader got what the writer wrote.

use std::fmt;

use serde::{Serialize, Serializer};
use xxhash_rust::xxh3::Xxh3Default;

/// The 64-bit XXH3 of the bytes so far, as `xxhsum -H3` prints it. Detects accidents, not attacks.
///
/// `Display` and `Serialize` print `xxh3:` and 16 hexadecimal digits.
#[derive(Default)]
pub struct Checksum(Xxh3Default);

impl Checksum {
    /// Returns the checksum of a text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut checksum = Self::default();
        checksum.update(text);
        checksum
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the checksum of the bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.digest()
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xxh3:{:016x}", self.value())
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
