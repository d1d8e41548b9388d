//! Keys: the names of System V segments.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The name under which a System V segment is found, a `key_t`.
///
/// Never `IPC_PRIVATE` (0), which names no segment: each `shmget(2)` with it makes a new one that
/// nobody else can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i32);

impl Key {
    /// The key that the tools use when none is given.
    pub const DEFAULT: Self = Self(20_231_125);

    /// Makes a key from a `key_t`; `None` for `IPC_PRIVATE`.
    #[must_use]
    pub const fn new(raw: i32) -> Option<Self> {
        if raw == 0 { None } else { Some(Self(raw)) }
    }

    /// The `key_t`.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::DEFAULT
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

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// Neither a decimal `key_t` nor `0x` and up to eight hexadecimal digits.
    #[error("expected a decimal number such as 20231125, or 0x and up to 8 hexadecimal digits")]
    NotANumber,
    /// The number is 0.
    #[error("0 is IPC_PRIVATE, which names no segment: choose another number")]
    Private,
}

impl FromStr for Key {
    type Err = ParseKeyError;

    /// Reads a decimal `key_t` (`20231125`, `-5`) or a hexadecimal one (`0x0134b3d5`).
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let raw = match hexadecimal {
            // from_str_radix takes a sign of its own, which "0x-1" must not have.
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
    fn the_default_is_printed_as_the_kernel_tools_print_it() {
        assert_eq!(Key::DEFAULT.to_string(), "0x0134b3d5");
        assert_eq!("20231125".parse(), Ok(Key::DEFAULT));
        assert_eq!("0x134B3D5".parse(), Ok(Key::DEFAULT));
    }

    #[test]
    fn what_names_no_segment_is_refused() {
        for text in ["0", "0x0", "-0"] {
            assert_eq!(text.parse::<Key>(), Err(ParseKeyError::Private), "{text}");
        }
        for text in ["", "0x", "0x-1", "x", "2147483648", "0x100000000", " 1"] {
            assert_eq!(text.parse::<Key>(), Err(ParseKeyError::NotANumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_key_reads_back(raw in any::<i32>().prop_filter("IPC_PRIVATE", |raw| *raw != 0)) {
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
