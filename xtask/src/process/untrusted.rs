//! Text from others: engines, containers, paths, the environment, other users of the machine.
//!
//! It can contain control sequences for a terminal, or characters that make a line look different
//! from its content. The [`Display`](fmt::Display) of its type [`Untrusted`] escapes it. Code tests
//! the text with narrow methods. `Guard` and [`shm_cli::text::Escaped`], around the writers of
//! reports and of standard error, escape once more.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use shm_core::text::{escape, escape_line};

pub mod json;

/// A text from others. It is printed with escapes for everything that can control a terminal.
///
/// The serialized form is the unchanged text. The writers of [`json`] escape what JSON does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Untrusted(String);

impl<'de> Deserialize<'de> for Untrusted {
    /// JSON values are names, versions and reasons, which are single lines.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::line(&text))
    }
}

impl Untrusted {
    /// Creates a path for messages. Escapes line breaks and tabs too, so that it is one line.
    pub(crate) fn path(path: &Path) -> Self {
        Self(escape_line(path.as_os_str().as_bytes()))
    }

    /// Creates a text of one line. Escapes line breaks and tabs too, because the text after a line
    /// break would look like a line of ours.
    pub(crate) fn line(text: &str) -> Self {
        let escaped = text.replace('\n', "\\x0a").replace('\r', "\\x0d");
        Self(escaped.replace('\t', "\\x09"))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, part: &str) -> bool {
        self.0.contains(part)
    }

    pub(crate) fn starts_with(&self, start: &str) -> bool {
        self.0.starts_with(start)
    }

    /// Returns its lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Self> {
        self.0.lines().map(Self::from)
    }

    /// Returns its parts between white space.
    pub(crate) fn words(&self) -> impl Iterator<Item = Self> {
        self.0.split_whitespace().map(Self::from)
    }

    /// Returns its parts between separators.
    pub(crate) fn fields(&self, separator: char) -> impl Iterator<Item = Self> {
        self.0.split(separator).map(Self::from)
    }

    /// Returns the text after `prefix`, or `None` if it does not start with `prefix`.
    pub(crate) fn strip_prefix(&self, prefix: &str) -> Option<Self> {
        self.0.strip_prefix(prefix).map(Self::from)
    }

    /// Parses it as a value, such as a number or a [`CheckedName`](crate::process::name::CheckedName).
    pub(crate) fn parse<T: FromStr>(&self) -> Result<T, T::Err> {
        self.0.parse()
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escape(self.0.as_bytes()))
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl PartialEq<str> for Untrusted {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Untrusted {
    fn eq(&self, other: &&str) -> bool {
        self.0 == **other
    }
}

/// Escapes what is written, except styles such as colours (`ESC [ numbers m`), which change only
/// how a text looks. For writers of text that contains our own styles.
#[derive(Debug)]
pub(crate) struct Guard<W> {
    inner: W,
    /// The start of an incomplete line, which may end in the middle of a sequence.
    line: Vec<u8>,
}

impl<W: Write> Guard<W> {
    /// Wraps a writer. Call [`finish`](Self::finish) at the end.
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, line: Vec::new() }
    }

    /// Writes an incomplete last line, and flushes.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.inner.write_all(keep_styles(&self.line).as_bytes())?;
        self.inner.flush()
    }
}

impl<W: Write> Write for Guard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend(bytes);
        if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
            let rest = self.line.split_off(self.line.len() - bytes.len() + end + 1);
            let whole = std::mem::replace(&mut self.line, rest);
            self.inner.write_all(keep_styles(&whole).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns a text with everything escaped except its styles.
pub(crate) fn keep_styles(text: &[u8]) -> String {
    const ESC: u8 = 0x1b;
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| *byte == ESC) {
        let (before, sequence) = rest.split_at(start);
        let length = style_length(sequence).unwrap_or(0);
        let (style, after) = sequence.split_at(length.max(1));
        shown += &escape(before);
        // A style is ASCII.
        shown +=
            &if length > 0 { String::from_utf8_lossy(style).into_owned() } else { escape(style) };
        rest = after;
    }
    shown + &escape(rest)
}

/// Returns the length of the style at the start of a text, or `None` if there is no style.
fn style_length(text: &[u8]) -> Option<usize> {
    let numbers = text.strip_prefix(b"\x1b[")?;
    let end = numbers.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (numbers[end] == b'm').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use proptest::prelude::*;

    use super::{Guard, Untrusted, keep_styles};

    #[test]
    fn a_text_is_printed_with_escapes_and_padded_to_its_printed_width() {
        let text = Untrusted::from("a\x1b]0;b\x07");
        assert_eq!(text.to_string(), "a\\x1b]0;b\\x07");
        assert_eq!(format!("{text:<16}|"), "a\\x1b]0;b\\x07   |");
    }

    #[test]
    fn a_path_is_one_line_of_a_message() {
        let path = Path::new(OsStr::from_bytes(b"/tmp/a\nhost: removed b\t\x1b[2J\xff"));
        let shown = Untrusted::path(path).to_string();
        assert_eq!(shown, "/tmp/a\\x0ahost: removed b\\x09\\x1b[2J\\xff");
    }

    #[test]
    fn styles_are_kept_and_other_control_sequences_are_escaped() {
        assert_eq!(keep_styles(b"\x1b[1;31mred\x1b[0m"), "\x1b[1;31mred\x1b[0m");
        for (text, shown) in [
            ("\x1b[2Jgone", "\\x1b[2Jgone"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b\x1b[1m", "\\x1b\x1b[1m"),
            ("\x1b[1", "\\x1b[1"),
            ("\x1b", "\\x1b"),
        ] {
            assert_eq!(keep_styles(text.as_bytes()), shown);
        }
    }

    proptest! {
        #[test]
        fn writes_in_pieces_give_the_same_text_as_one_write(
            text in "[a\n\x1b\\[1m\u{e4}]{0,40}", piece in 1_usize..5,
        ) {
            let mut out = Vec::new();
            let mut guard = Guard::new(&mut out);
            for part in text.as_bytes().chunks(piece) {
                guard.write_all(part).unwrap();
            }
            guard.finish().unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), keep_styles(text.as_bytes()));
        }
    }
}
