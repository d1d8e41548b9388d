//! Text in shared memory, and escaped text that is safe on a terminal.

use std::io::{self, Read};

use crate::Memory;

/// Reads the text of a [`Memory`] piece by piece: a long text needs no more memory than the buffer.
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
        // Searches for the NUL in the copy, which other processes cannot change.
        let copied = self.memory.read_at(self.offset, buffer).map_err(io::Error::other)?;
        let length = memchr::memchr(0, &buffer[..copied]).unwrap_or(copied);
        self.ended = length < copied || copied == 0;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Returns `bytes` as text that is safe on a terminal and in a report, without hidden characters.
///
/// Newlines and tabs stay. Each byte of other control characters, of invisible characters and of
/// invalid UTF-8 becomes `\xNN`. Invisible characters are bidirectional controls, separators of
/// lines and paragraphs, zero-width and other default-ignorable characters, and noncharacters,
/// of which XML 1.0 forbids U+FFFE and U+FFFF.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    escape_where(bytes, |character| !matches!(character, '\n' | '\t') && is_unseen(character))
}

/// Like [`escape`], but in one line: escapes newlines and tabs too. Use it for a name or a path in
/// a message, which could otherwise imitate another line of the message.
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

/// Returns whether `character` is invisible or reorders its neighbours: [`escape_line`] escapes it.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    match character {
        // Printable ASCII first, because it is the most frequent.
        ' '..='~' => false,
        _ => character.is_control() || is_noncharacter(character) || is_invisible(character),
    }
}

/// Returns whether Unicode reserves the code point for internal use, such as U+FFFE and U+FFFF.
fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    code & 0xfffe == 0xfffe || matches!(code, 0xfdd0..=0xfdef)
}

/// Returns whether a character has Unicode's property `Default_Ignorable_Code_Point`, is another
/// format character without a glyph, or separates lines or paragraphs.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{70f}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{escape, escape_line};

    #[test]
    fn control_characters_and_invalid_bytes_are_escaped() {
        assert_eq!(escape(b"\x1b[31mred\x07"), "\\x1b[31mred\\x07");
        assert_eq!(escape("\u{9b}2J 共享\n\t".as_bytes()), "\\xc2\\x9b2J 共享\n\t");
        assert_eq!(escape(b"\xff\xfe"), "\\xff\\xfe");
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
        fn nothing_escaped_holds_a_control_character(bytes: Vec<u8>) {
            prop_assert!(!escape(&bytes).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
