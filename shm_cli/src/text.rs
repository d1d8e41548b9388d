//! The forms in which a text is printed.

use std::io::{self, Write};

use shm_core::text::{escape, is_unseen};

/// Writes a space after each byte, like the article's reader.
#[derive(Debug)]
pub struct Spaced<W> {
    inner: W,
    escape: bool,
    out: Vec<u8>,
}

impl<W: Write> Spaced<W> {
    /// Wraps a writer. With `escape`, all but printable ASCII, newline and tab becomes `\xNN`.
    pub fn new(inner: W, escape: bool) -> Self {
        Self { inner, escape, out: Vec::new() }
    }
}

impl<W: Write> Write for Spaced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.clear();
        if self.escape {
            for &byte in bytes {
                if byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t') {
                    self.out.extend([byte, b' ']);
                } else {
                    write!(self.out, "\\x{byte:02x} ")?;
                }
            }
        } else {
            // Without capacity checks for each byte, the compiler vectorizes the loop.
            self.out.resize(bytes.len() * 2, b' ');
            for (pair, byte) in self.out.as_chunks_mut().0.iter_mut().zip(bytes) {
                *pair = [*byte, b' '];
            }
        }
        self.inner.write_all(&self.out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes text that is safe on a terminal: what [`escape`] replaces becomes `\xNN`.
#[derive(Debug)]
pub struct Escaped<W> {
    inner: W,
    /// The bytes of an incomplete last character, at most three.
    pending: Vec<u8>,
}

impl<W: Write> Escaped<W> {
    /// Wraps a writer. Call [`finish`](Self::finish) at the end.
    pub fn new(inner: W) -> Self {
        Self { inner, pending: Vec::new() }
    }

    /// Writes the bytes of an incomplete last character.
    ///
    /// # Errors
    ///
    /// The errors of the writer.
    pub fn finish(mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.pending);
        self.inner.write_all(escape(&rest).as_bytes())
    }
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend(bytes);
        let complete = self.pending.len() - incomplete_tail(&self.pending);
        let rest = self.pending.split_off(complete);
        let whole = std::mem::replace(&mut self.pending, rest);
        self.inner.write_all(escape(&whole).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes JSON that is safe on a terminal: control and invisible characters become `\uNNNN`, which
/// means the same. For a serializer, which writes complete characters.
#[derive(Debug)]
pub struct EscapedJson<W>(pub W);

impl<W: Write> Write for EscapedJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for chunk in bytes.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some((place, character)) = rest.char_indices().find(|(_, it)| is_unseen(*it))
            {
                self.0.write_all(&rest.as_bytes()[..place])?;
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(self.0, "\\u{unit:04x}")?;
                }
                rest = &rest[place + character.len_utf8()..];
            }
            self.0.write_all(rest.as_bytes())?;
            self.0.write_all(chunk.invalid())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns the number of bytes of an incomplete character at the end.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let unfinished = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if unfinished { last.len() } else { 0 }
}

/// Returns `bytes` in the form that [`Spaced`] writes without escapes.
#[must_use]
pub fn spaced(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte, b' ']).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use shm_core::text::{escape, is_unseen};

    use super::{Escaped, EscapedJson, Spaced, spaced};

    #[test]
    fn the_spaced_form_is_escaped_for_a_terminal() {
        let mut out = Vec::new();
        Spaced::new(&mut out, true).write_all(b"a\x1b\xe5").unwrap();
        assert_eq!(out, b"a \\x1b \\xe5 ");
    }

    proptest! {
        #[test]
        fn escaping_piece_by_piece_is_escaping_the_whole(bytes: Vec<u8>, piece in 1_usize..5) {
            let mut out = Vec::new();
            let mut writer = Escaped::new(&mut out);
            for part in bytes.chunks(piece) {
                writer.write_all(part).unwrap();
            }
            writer.finish().unwrap();
            prop_assert_eq!(out, escape(&bytes).into_bytes());
        }

        #[test]
        fn escaped_json_is_the_same_json(text: String) {
            let mut out = Vec::new();
            serde_json::to_writer(EscapedJson(&mut out), &text).unwrap();
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            prop_assert!(!str::from_utf8(&out).unwrap().chars().any(is_unseen));
        }

        #[test]
        fn the_two_spaced_forms_agree(bytes: Vec<u8>) {
            let mut out = Vec::new();
            Spaced::new(&mut out, false).write_all(&bytes).unwrap();
            prop_assert_eq!(out, spaced(&bytes));
        }
    }
}
