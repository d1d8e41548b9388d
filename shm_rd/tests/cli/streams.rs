//! Closed pipes and descriptors.

use std::fs;

use predicates::str::starts_with;
use shm_testkit::scratch::ScratchKey;

use crate::{put, shell};

#[test]
fn a_closed_pipe_ends_it_silently() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    put(*key, b"hello");
    // A pipe that nobody reads.
    let closed = "mkfifo \"$FIFO\"; exec 3<>\"$FIFO\" 4>\"$FIFO\" 3<&- >&4;";
    let script = format!("{closed} \"$0\" \"$@\"; echo $? >&2");
    for option in ["--raw", "--json"] {
        let fifo = folder.path().join(option);
        let mut shell = shell(&script, &["--key", &key.to_string(), option]);
        shell.env("FIFO", fifo).assert().stderr("141\n");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let key = ScratchKey::new();
    put(*key, b"hello");
    shell("exec \"$0\" \"$@\" >/dev/full", &["--key", &key.to_string()])
        .assert()
        .code(255)
        .stderr("cannot write to standard output: No space left on device (os error 28)\n");
}

#[test]
fn a_closed_standard_output_does_not_become_the_shared_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    put(file.path().to_owned(), b"hello");
    let before = fs::read(&file).unwrap();
    let path = file.path().to_str().unwrap();
    for closed in [">&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let script = format!("exec \"$0\" \"$@\" {closed}");
        shell(&script, &["--file", path]).assert().code(255);
        assert_eq!(fs::read(&file).unwrap(), before, "{closed}");
    }
}

#[test]
fn a_closed_and_a_full_standard_output_are_errors_in_every_form() {
    let key = ScratchKey::new();
    put(*key, b"hello");
    let key = key.to_string();
    let address = ["--key", &key];
    for (output, reason) in [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on")] {
        let script = format!("exec \"$0\" \"$@\" {output}");
        for form in [&[][..], &["--raw"], &["--json"], &["--checksum"], &["--raw", "--checksum"]] {
            let arguments = [&address[..], form].concat();
            let message = starts_with(format!("cannot write to standard output: {reason}"));
            shell(&script, &arguments).assert().code(255).stderr(message);
        }
        for asked in ["--help", "--version"] {
            let message = starts_with(format!("cannot write to standard output: {reason}"));
            shell(&script, &[asked]).assert().code(255).stderr(message);
        }
    }
}
