//! Text in shared memory: bytes up to the first NUL, and the forms in which they are printed.

use std::io::{self, Read, Write};

use crate::Memory;

/// Reads the text of a [`Memory`] with a buffer's worth of memory, however long it is.
#[derive(Debug)]
pub struct Text<'a> {
    memory: &'a Memory,
    offset: u64,
    ended: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn new(memory: &'a Memory) -> Self {
        Self { memory, offset: 0, ended: false }
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        // The NUL is looked for in our copy, which nobody changes under us.
        let copied = self.memory.read_at(self.offset, buffer).map_err(io::Error::other)?;
        let length = memchr::memchr(0, &buffer[..copied]).unwrap_or(copied);
        self.ended = length < copied || copied == 0;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Writes each byte with a space behind it, the form that the article's reader prints.
#[derive(Debug)]
pub struct Spaced<W> {
    inner: W,
    escape: bool,
    out: Vec<u8>,
}

impl<W: Write> Spaced<W> {
    /// Wraps a writer. With `escape`, bytes that a terminal could obey, and those that make no
    /// character by themselves, become `\xNN`.
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
            // Many bytes at once, which a growing vector's checks would prevent.
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

/// Writes characters as they are, except that control characters other than newline and tab, and
/// bytes that are not UTF-8, become `\xNN`: what is shown on a terminal must not drive it.
#[derive(Debug)]
pub struct Escaped<W> {
    inner: W,
    /// The start of a character whose rest has not come yet, at most three bytes.
    pending: Vec<u8>,
}

impl<W: Write> Escaped<W> {
    /// Wraps a writer. Call [`finish`](Self::finish) at the end.
    pub fn new(inner: W) -> Self {
        Self { inner, pending: Vec::new() }
    }

    /// Writes what was held back in the hope of a character's rest.
    ///
    /// # Errors
    ///
    /// Those of the writer.
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

/// Writes JSON that is safe on a terminal: the characters that [`escape`] replaces become `\uNNNN`, an
/// equivalent JSON. For a serializer, which writes whole characters.
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

/// How many bytes at the end begin a character without finishing it.
fn incomplete_tail(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    let unfinished = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    if unfinished { last.len() } else { 0 }
}

/// Returns `bytes` as text that is safe on a terminal and in a report, and hides nothing.
///
/// Newlines and tabs stay. All other control characters, invisible characters, and bytes that are not
/// UTF-8 become `\xNN`, a byte each. Invisible are bidirectional controls, separators of lines and
/// paragraphs, zero-width and other default-ignorable characters, and noncharacters. XML 1.0 forbids
/// U+FFFE and U+FFFF.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    escape_where(bytes, |character| !matches!(character, '\n' | '\t') && is_unseen(character))
}

/// Like [`escape`], but in one line: newlines and tabs are escaped too. For a name or a path in a
/// message, which could imitate another line of it otherwise.
#[must_use]
pub fn escape_line(bytes: &[u8]) -> String {
    escape_where(bytes, is_unseen)
}

fn escape_where(bytes: &[u8], escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    let hexadecimal = |out: &mut String, bytes: &[u8]| {
        use std::fmt::Write;
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if escaped(character) {
                hexadecimal(&mut out, character.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(character);
            }
        }
        hexadecimal(&mut out, chunk.invalid());
    }
    out
}

/// Whether `character` is invisible, or reorders the characters around it.
fn is_unseen(character: char) -> bool {
    match character {
        // Printable ASCII first: nearly every character is.
        ' '..='~' => false,
        _ => character.is_control() || is_noncharacter(character) || is_invisible(character),
    }
}

/// The code points that Unicode reserves for internal use, such as U+FFFE and U+FFFF.
fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    code & 0xfffe == 0xfffe || matches!(code, 0xfdd0..=0xfdef)
}

/// Unicode's property `Default_Ignorable_Code_Point`, the other format characters without a glyph,
/// and the separators of lines and paragraphs.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// `bytes` in the reader's form, as [`Spaced`] writes it.
#[must_use]
pub fn spaced(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [*byte, b' ']).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::{Escaped, EscapedJson, Spaced, escape, escape_line, spaced};

    #[test]
    fn a_terminal_is_not_driven_by_what_somebody_wrote() {
        assert_eq!(escape(b"\x1b[31mred\x07"), "\\x1b[31mred\\x07");
        assert_eq!(escape("\u{9b}2J 共享\n\t".as_bytes()), "\\xc2\\x9b2J 共享\n\t");
        assert_eq!(escape(b"\xff\xfe"), "\\xff\\xfe");
        let mut out = Vec::new();
        Spaced::new(&mut out, true).write_all(b"a\x1b\xe5").unwrap();
        assert_eq!(out, b"a \\x1b \\xe5 ");
    }

    #[test]
    fn invisible_characters_are_escaped() {
        // Unicode's Bidi_Control; line and paragraph separators; zero width; fillers; selectors;
        // tags; noncharacters.
        let invisible = [
            0x61c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069, 0x2028, 0x2029, 0x200b, 0x200d,
            0x2060, 0xfeff, 0xad, 0x34f, 0x115f, 0x3164, 0xfe0f, 0xfffb, 0x1d173, 0xe0041, 0xe0100,
            0xfdd0, 0xfffe, 0xffff, 0x1_fffe, 0x10_ffff, 0x7f, 0x85,
        ];
        for code in invisible {
            let character = char::from_u32(code).unwrap().to_string();
            let bytes = character.bytes().map(|byte| format!("\\x{byte:02x}"));
            let spelled = bytes.collect::<Vec<_>>().concat();
            assert_eq!(escape(character.as_bytes()), spelled, "U+{code:04X}");
        }
        assert_eq!(escape(b"cod\xe2\x80\xaeexe.txt"), "cod\\xe2\\x80\\xaeexe.txt");
        let seen = "ASCII ~ \u{a0}ä ø Ж א ع १ 共享 한 \u{fffd} 🦀 \u{301} \u{e000}";
        assert_eq!(escape(seen.as_bytes()), seen);
    }

    #[test]
    fn a_name_cannot_imitate_another_line() {
        assert_eq!(escape_line(b"a\nhint: run it\t\xff"), "a\\x0ahint: run it\\x09\\xff");
        assert_eq!(escape_line("共享".as_bytes()), "共享");
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
            prop_assert!(!str::from_utf8(&out).unwrap().chars().any(super::is_unseen));
        }

        #[test]
        fn nothing_escaped_holds_a_control_character(bytes: Vec<u8>) {
            prop_assert!(!escape(&bytes).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }

        #[test]
        fn the_two_spaced_forms_agree(bytes: Vec<u8>) {
            let mut out = Vec::new();
            Spaced::new(&mut out, false).write_all(&bytes).unwrap();
            prop_assert_eq!(out, spaced(&bytes));
        }
    }
}
