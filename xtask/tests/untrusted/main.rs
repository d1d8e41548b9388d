//! Text from others, from each source to each place where it is shown: nothing that drives a terminal or
//! hides gets there, and all of it can be seen.
#![forbid(unsafe_code)]

mod fakes;
mod programs;
mod reports;
mod usage;

/// Sets a title, clears the screen, changes a colour, turns the reading order, clears again by a C1
/// control, and holds a character that XML forbids.
const HOSTILE: &str = "x\x1b]0;evil\x07\x1b[2J\x1b[38;5;99m\u{202e}\u{9b}2J\u{fffe}y";
/// How it begins where it is shown.
const SHOWN: &str = "x\\x1b]0;evil\\x07";

/// Checks that a text drives nothing and hides nothing.
#[track_caller]
fn assert_tame(text: &str) {
    let wild = |c: &char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202e}' | '\u{fffe}')
    };
    assert_eq!(text.chars().find(wild), None, "{text:?}");
}

/// Checks the same, and that what was escaped is shown.
#[track_caller]
fn assert_shown(text: &str) {
    assert_tame(text);
    assert!(text.contains(SHOWN), "{text}");
}
