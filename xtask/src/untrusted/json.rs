//! JSON that is safe on a terminal. JSON escapes only the first of the control characters; here all
//! that [`shm_core::text::escape`] escapes becomes `\uNNNN`, which every reader turns back.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use shm_core::text::escape;

/// Writes a value over several lines, with a line break at the end.
///
/// # Errors
///
/// Those of the writer.
pub fn write_pretty(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let formatter = Escaping(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut *out, formatter))?;
    writeln!(out)
}

/// A value in one line.
///
/// # Errors
///
/// Where it cannot be serialized.
pub fn to_line(value: &impl Serialize) -> io::Result<String> {
    let mut line = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut line, Escaping(CompactFormatter)))?;
    String::from_utf8(line).map_err(io::Error::other)
}

/// Writes as another formatter does, and escapes more in strings.
struct Escaping<F>(F);

impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if escape(fragment.as_bytes()) == fragment {
            return out.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut buffer = [0; 4];
            let text = &*character.encode_utf8(&mut buffer);
            if escape(text.as_bytes()) == text {
                out.write_all(text.as_bytes())?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{to_line, write_pretty};

    #[test]
    fn what_json_lets_through_is_escaped_and_the_rest_is_as_ever() {
        assert_eq!(
            to_line(&"\u{9b}2J \x7f \x1b 共享").unwrap(),
            r#""\u009b2J \u007f \u001b 共享""#
        );
        let value = serde_json::json!({ "a": [1, { "b": "c" }], "d": {} });
        let mut out = Vec::new();
        write_pretty(&mut out, &value).unwrap();
        let expected = serde_json::to_string_pretty(&value).unwrap() + "\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_as_it_was(text: String) {
            prop_assert_eq!(serde_json::from_str::<String>(&to_line(&text).unwrap()).unwrap(), text);
        }
    }
}
