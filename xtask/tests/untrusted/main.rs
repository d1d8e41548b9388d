//! Untrusted text, from each source to each place that shows it: control characters are escaped,
//! and no part of the text is hidden.
#![forbid(unsafe_code)]

mod fakes;
mod programs;
mod reports;
mod usage;

/// Sets a title, clears the screen, changes the colour, reverses the text direction, clears the
/// screen with a C1 control, and contains a character that XML forbids.
const HOSTILE: &str = "x\x1b]0;evil\x07\x1b[2J\x1b[38;5;99m\u{202e}\u{9b}2J\u{fffe}y";
/// The beginning of the escaped form.
const SHOWN: &str = "x\\x1b]0;evil\\x07";

/// Asserts that a text contains no control character, no U+202E and no U+FFFE.
#[track_caller]
fn assert_tame(text: &str) {
    let wild = |c: &char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202e}' | '\u{fffe}')
    };
    assert_eq!(text.chars().find(wild), None, "{text:?}");
}

/// Asserts the same, and that the text contains the escaped form.
#[track_caller]
fn assert_shown(text: &str) {
    assert_tame(text);
    assert!(text.contains(SHOWN), "{text}");
}
