//! JSON that is safe on a terminal: [`EscapedJson`] escapes what JSON itself does not.

use std::io::{self, Write};

use serde::Serialize;
use shm_cli::text::EscapedJson;

/// Writes a value over several lines, with a line break at the end.
pub(crate) fn write_pretty(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(Lines(EscapedJson(&mut *out)), value)?;
    writeln!(out)
}

/// Keeps the line breaks between the parts of a value. JSON strings contain no line breaks.
struct Lines<W>(EscapedJson<W>);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    self.0.write_all(line)?;
                    self.0.0.write_all(b"\n")?;
                }
                None => self.0.write_all(line)?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use serde::Serialize;

    use super::write_pretty;

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write_pretty(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_characters_that_json_permits_are_escaped() {
        let json = written(&"\u{9b}2J \x7f \x1b \u{202e} 共享");
        assert_eq!(json, "\"\\u009b2J \\u007f \\u001b \\u202e 共享\"\n");
    }

    #[test]
    fn other_values_are_written_unchanged() {
        let value = serde_json::json!({ "a": [1, { "b": "c\nd\te" }], "f": {}, "g": [] });
        assert_eq!(written(&value), serde_json::to_string_pretty(&value).unwrap() + "\n");
    }

    proptest! {
        #[test]
        fn every_text_survives_a_round_trip(text: String) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
        }
    }
}
