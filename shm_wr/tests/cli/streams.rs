//! Closed pipes and descriptors.

use std::fs;

use assert_cmd::Command;

use crate::scratch::ScratchKey;
use crate::text_at;

/// A shell that runs `script` with the tool as `$0` and `arguments` behind it.
fn shell(script: &str, arguments: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(env!("CARGO_BIN_EXE_shm_wr")).args(arguments);
    shell
}

/// Standard output, from here on, is a pipe that nobody reads.
const CLOSED_PIPE: &str = "mkfifo \"$FIFO\"; exec 3<>\"$FIFO\" 4>\"$FIFO\" 3<&- >&4;";

#[test]
fn a_closed_pipe_ends_it_without_a_word_after_it_has_written() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let script = format!("{CLOSED_PIPE} \"$0\" \"$@\"; echo $? >&2");
    let mut shell = shell(&script, &["--key", &key.to_string(), "hello"]);
    shell.env("FIFO", folder.path().join("fifo")).assert().stderr("141\n");
    assert_eq!(text_at(*key), b"hello");
}

#[test]
fn with_sigpipe_ignored_a_closed_pipe_is_a_failure_without_a_panic() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let script = format!("trap '' PIPE; {CLOSED_PIPE} \"$0\" \"$@\"; echo $? >&2");
    let mut shell = shell(&script, &["--key", &key.to_string(), "hello"]);
    let said = "the output failed: Broken pipe (os error 32)\n255\n";
    shell.env("FIFO", folder.path().join("fifo")).assert().stderr(said);
    assert_eq!(text_at(*key), b"hello");
}

#[test]
fn a_closed_standard_output_does_not_become_the_shared_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for closed in [">&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let script = format!("exec \"$0\" \"$@\" {closed}");
        shell(&script, &["--file", path, "--size", "6", "hello"]).assert().code(0).stdout("");
        assert_eq!(fs::read(&file).unwrap(), b"hello\0", "{closed}");
    }
    // The message of an error does not either.
    shell("exec \"$0\" \"$@\" 2>&-", &["--file", path, "--size", "6", "too long"])
        .assert()
        .code(255);
    assert_eq!(fs::read(&file).unwrap(), b"hello\0");
}

#[test]
fn a_closed_standard_input_is_an_empty_text_and_not_the_shared_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "before").unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = ["--file", path, "--size", "6", "--stdin", "--truncate"];
    shell("exec \"$0\" \"$@\" <&-", &arguments).assert().code(0);
    assert_eq!(fs::read(&file).unwrap(), b"\0efore");
}

#[test]
fn standard_input_that_cannot_be_read_is_told() {
    let key = ScratchKey::new();
    let assert = shell("exec \"$0\" \"$@\" </", &["--key", &key.to_string(), "--stdin"]).assert();
    assert
        .code(255)
        .stdout("shm write failed\n")
        .stderr(predicates::str::starts_with("standard input cannot be read: Is a directory"));
    assert!(shm_core::Segment::find(*key).is_err());
}
