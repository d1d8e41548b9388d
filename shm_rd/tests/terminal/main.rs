//! The output of `shm_rd` on a terminal, which `script` of util-linux provides.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use assert_cmd::Command;
use shm_core::Address;
use shm_testkit::need::TERMINAL;
use shm_testkit::scratch::ScratchKey;
use shm_testkit::{Suite, Trial, trials};

/// Returns the bytes that a terminal gets when `shm_rd` prints `text`.
fn shown(text: &[u8], options: &str) -> String {
    let key = ScratchKey::new();
    let (memory, _) = Address::from(*key).open_or_create(1024, 0o600).unwrap();
    memory.write_text(text).unwrap();
    let command = format!("'{}' --key {} {options}", env!("CARGO_BIN_EXE_shm_rd"), *key);
    let assert = Command::new("script").args(["-qec", &command, "/dev/null"]).assert().code(0);
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn control_characters_are_escaped_on_a_terminal() {
    assert_eq!(
        shown(b"a\x1b]0;title\x07\x7f\xff", ""),
        "a \\x1b ] 0 ; t i t l e \\x07 \\x7f \\xff \r\nshm read success\r\n"
    );
}

fn raw_text_is_escaped_on_a_terminal_without_splitting_characters() {
    assert_eq!(shown("\x1b[2J共享\u{9b}\t.".as_bytes(), "--raw"), "\\x1b[2J共享\\xc2\\x9b\t.");
    assert_eq!(shown("cod\u{202e}exe.txt".as_bytes(), "--raw"), "cod\\xe2\\x80\\xaeexe.txt");
    assert_eq!(shown(b"cut \xe5\x85", "--raw"), "cut \\xe5\\x85");
}

fn json_escapes_control_characters_on_a_terminal() {
    let shown = shown("\x1b[2J\u{9b}\u{202e}共享".as_bytes(), "--json");
    assert!(shown.contains(r#""text":"\u001b[2J\u009b\u202e共享""#), "{shown}");
}

/// Returns the bytes that a terminal gets from a reader of 2 MiB, whose output is a pipe that is read after `seconds`.
fn shown_beside_a_pipe(seconds: &str, options: &str) -> String {
    let key = ScratchKey::new();
    let text = vec![b'x'; 2 << 20];
    let (memory, _) = Address::from(*key).open_or_create(text.len() + 1, 0o600).unwrap();
    memory.write_text(&text).unwrap();
    let tool = format!("'{}' --key {} {options}", env!("CARGO_BIN_EXE_shm_rd"), *key);
    let command = format!("{tool} | (sleep {seconds}; cat >/dev/null)");
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm");
    let assert = script.assert().code(0);
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn a_transfer_of_over_a_second_shows_a_progress_line_and_erases_it() {
    for options in ["--raw", ""] {
        let shown = shown_beside_a_pipe("1.5", options);
        assert!(shown.contains("iB, "), "{shown:?}");
        // At most 2 MiB in more than a second.
        assert!(shown.contains(" MiB/s") || shown.contains(" KiB/s"), "{shown:?}");
        assert!(shown.ends_with("\r\x1b[2K"), "{shown:?}");
    }
}

/// The terminal takes nothing for longer than a second.
fn a_text_on_a_slow_terminal_has_no_progress_line() {
    let key = ScratchKey::new();
    let text = vec![b'x'; 1 << 20];
    let (memory, _) = Address::from(*key).open_or_create(text.len() + 1, 0o600).unwrap();
    memory.write_text(&text).unwrap();
    for options in ["--raw", ""] {
        let tool = format!("{} --key {} {options}", env!("CARGO_BIN_EXE_shm_rd"), *key);
        let slow = format!("script -qec '{tool}' /dev/null </dev/null | (sleep 1.5; cat)");
        let assert = Command::new("sh").args(["-c", &slow]).assert().code(0);
        let shown = &assert.get_output().stdout;
        assert!(shown.len() >= text.len() && !shown.contains(&b'\x1b'), "{options}");
    }
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::here, &[TERMINAL] =>
            control_characters_are_escaped_on_a_terminal,
            raw_text_is_escaped_on_a_terminal_without_splitting_characters,
            json_escapes_control_characters_on_a_terminal,
            a_transfer_of_over_a_second_shows_a_progress_line_and_erases_it,
            a_text_on_a_slow_terminal_has_no_progress_line;
    ];
    Suite::new(trials).run()
}
