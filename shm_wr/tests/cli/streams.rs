//! Closed pipes and descriptors.

use std::fs;

use predicates::str::starts_with;
use shm_testkit::scratch::ScratchKey;

use crate::{shell, text_at};

/// Makes standard output a pipe that nobody reads.
const CLOSED_PIPE: &str = "mkfifo \"$FIFO\"; exec 3<>\"$FIFO\" 4>\"$FIFO\" 3<&- >&4;";

#[test]
fn a_closed_pipe_ends_it_silently_after_the_write() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let script = format!("{CLOSED_PIPE} \"$0\" \"$@\"; echo $? >&2");
    let mut shell = shell(&script, &["--key", &key.to_string(), "hello"]);
    shell.env("FIFO", folder.path().join("fifo")).assert().stderr("141\n");
    assert_eq!(text_at(*key), b"hello");
}

#[test]
fn with_sigpipe_ignored_a_closed_pipe_is_an_error() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let script = format!("trap '' PIPE; {CLOSED_PIPE} \"$0\" \"$@\"; echo $? >&2");
    let mut shell = shell(&script, &["--key", &key.to_string(), "hello"]);
    let message = "cannot write to standard output: Broken pipe (os error 32)\n255\n";
    shell.env("FIFO", folder.path().join("fifo")).assert().stderr(message);
    assert_eq!(text_at(*key), b"hello");
}

#[test]
fn a_closed_standard_output_does_not_become_the_shared_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    for closed in [">&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let script = format!("exec \"$0\" \"$@\" {closed}");
        shell(&script, &["--file", path, "--size", "6", "hello"]).assert().code(255);
        assert_eq!(fs::read(&file).unwrap(), b"hello\0", "{closed}");
    }
    // Nor does the message of an error go to the file.
    shell("exec \"$0\" \"$@\" 2>&-", &["--file", path, "--size", "6", "too long"])
        .assert()
        .code(255);
    assert_eq!(fs::read(&file).unwrap(), b"hello\0");
}

#[test]
fn a_closed_and_a_full_standard_output_are_errors_in_every_form() {
    let key = ScratchKey::new();
    let key = key.to_string();
    for (output, reason) in [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on")] {
        let script = format!("exec \"$0\" \"$@\" {output}");
        for form in [&["x"][..], &["x", "--json"], &["x", "--checksum"], &["--remove"]] {
            let arguments = [&["--key", &key][..], form].concat();
            let message = starts_with(format!("cannot write to standard output: {reason}"));
            shell(&script, &arguments).assert().code(255).stderr(message);
        }
        for asked in ["--help", "--version"] {
            let message = starts_with(format!("cannot write to standard output: {reason}"));
            shell(&script, &[asked]).assert().code(255).stderr(message);
        }
    }
}

#[test]
fn a_closed_standard_input_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "before").unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = ["--file", path, "--size", "6", "--stdin", "--truncate"];
    let message = "cannot read standard input: Bad file descriptor";
    let assert = shell("exec \"$0\" \"$@\" <&-", &arguments).assert().code(255);
    assert.stderr(starts_with(message));
    assert_eq!(fs::read(&file).unwrap(), b"before");
}

#[test]
fn standard_input_that_cannot_be_read_is_an_error() {
    let key = ScratchKey::new();
    let assert = shell("exec \"$0\" \"$@\" </", &["--key", &key.to_string(), "--stdin"]).assert();
    assert
        .code(255)
        .stdout("shm write failed\n")
        .stderr(starts_with("cannot read standard input: Is a directory"));
    assert!(shm_core::Segment::find(*key).is_err());
}
