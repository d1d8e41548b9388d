//! The keys of System V IPC.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A key that names a System V segment, set of semaphores or message queue: a `key_t`.
///
/// It is never `IPC_PRIVATE` (0): each `shmget(2)` with this key creates a new segment, which no
/// other process can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i32);

impl Key {
    /// Makes a key from a `key_t`. Returns `None` for `IPC_PRIVATE`.
    #[must_use]
    pub const fn new(raw: i32) -> Option<Self> {
        if raw == 0 { None } else { Some(Self(raw)) }
    }

    /// Returns the `key_t`.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x}", self.0)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The reason why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// The text is neither a decimal `key_t` nor `0x` and up to eight hexadecimal digits.
    #[error("expected a decimal number such as 20231125, or 0x and up to 8 hexadecimal digits")]
    NotANumber,
    /// The number is 0.
    #[error("key 0 is IPC_PRIVATE, which names no segment; choose another number")]
    Private,
}

impl FromStr for Key {
    type Err = ParseKeyError;

    /// Parses a decimal `key_t` (`20231125`, `-5`) or a hexadecimal one (`0x0134b3d5`).
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let raw = match hexadecimal {
            // from_str_radix accepts a sign, but "0x-1" is invalid.
            Some(digits) if digits.starts_with(['+', '-']) => None,
            Some(digits) => u32::from_str_radix(digits, 16).ok().map(u32::cast_signed),
            None => text.parse().ok(),
        };
        Self::new(raw.ok_or(ParseKeyError::NotANumber)?).ok_or(ParseKeyError::Private)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Key, ParseKeyError};

    #[test]
    fn a_key_is_printed_like_in_ipcs() {
        let key = Key(20_231_125);
        assert_eq!(key.to_string(), "0x0134b3d5");
        assert_eq!("20231125".parse(), Ok(key));
        assert_eq!("0x134B3D5".parse(), Ok(key));
    }

    #[test]
    fn invalid_keys_are_rejected() {
        for text in ["0", "0x0", "-0"] {
            assert_eq!(text.parse::<Key>(), Err(ParseKeyError::Private), "{text}");
        }
        for text in ["", "0x", "0x-1", "x", "2147483648", "0x100000000", " 1"] {
            assert_eq!(text.parse::<Key>(), Err(ParseKeyError::NotANumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_key_can_be_parsed(raw in any::<i32>().prop_filter("not 0", |raw| *raw != 0)) {
            let key = Key::new(raw).unwrap();
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            prop_assert_eq!(raw.to_string().parse(), Ok(key));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Key>();
        }
    }
}
