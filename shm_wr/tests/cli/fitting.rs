//! A text that does not fit is refused, unless it may be cut. Nothing is written or created.

use std::fs;

use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_core::{Address, Errno, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

use crate::{shell, shm_wr, text_at};

const DOES_NOT_FIT: &str = "the text does not fit\ncause: ";

fn absent(address: impl Into<Address>) -> bool {
    address.into().open().is_err_and(|error| error.errno() == Some(Errno::ENOENT))
}

#[test]
fn the_longest_text_that_fits_is_one_byte_shorter_than_the_segment() {
    let key = ScratchKey::new();
    let longest = "x".repeat(1023);
    shm_wr().args(["--key", &key.to_string(), &longest]).assert().code(0);
    assert_eq!(text_at(*key), longest.as_bytes());
    let refused = shm_wr().args(["--key", &key.to_string(), &"y".repeat(1024)]).assert().code(255);
    refused.stdout("shm write failed\n").stderr(
        starts_with(DOES_NOT_FIT)
            .and(contains("1024 bytes have room for 1023 bytes of text and a NUL"))
            .and(contains("\nhint: give --truncate to cut it, or a larger --size")),
    );
    assert_eq!(text_at(*key), longest.as_bytes(), "nothing was written");
}

#[test]
fn a_text_that_does_not_fit_creates_nothing_with_any_mechanism() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    for address in
        [["--key", &key.to_string()], ["--posix", &name], ["--file", file.to_str().unwrap()]]
    {
        for new in [&[][..], &["--create-new"]] {
            shm_wr()
                .args(address)
                .args(new)
                .args(["--size", "3", "abc"])
                .assert()
                .code(255)
                .stderr(starts_with(DOES_NOT_FIT));
        }
    }
    assert!(absent(*key));
    assert!(absent(name.parse::<shm_core::posix::Name>().unwrap()));
    assert!(!file.exists());
}

#[test]
fn a_file_does_not_grow_for_a_text_that_does_not_fit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "before").unwrap();
    let refused = shm_wr().arg("--file").arg(file.path()).arg("x".repeat(1024)).assert();
    refused.code(255).stderr(starts_with(DOES_NOT_FIT));
    assert_eq!(fs::read(&file).unwrap(), b"before");
}

#[test]
fn zero_bytes_hold_no_text_not_even_an_empty_one() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    for address in
        [["--key", &key.to_string()], ["--posix", &name], ["--file", file.to_str().unwrap()]]
    {
        for arguments in [&["--size", "0", ""][..], &["--size", "0", "--truncate", "x"]] {
            shm_wr()
                .args(address)
                .args(arguments)
                .assert()
                .code(255)
                .stderr(starts_with(DOES_NOT_FIT).and(contains("hint: give a larger --size")));
        }
    }
    assert!(Segment::find(*key).is_err());
    assert!(absent(name.parse::<shm_core::posix::Name>().unwrap()));
    assert!(!file.exists());
}

#[test]
fn truncate_cuts_to_the_size_of_the_segment() {
    let key = ScratchKey::new();
    let mut command = shm_wr();
    command.args(["--key", &key.to_string(), "--size", "4", "--truncate", "abcdef"]);
    command.assert().code(0).stdout("shm write success\n").stderr("");
    assert_eq!(text_at(*key), b"abc");
    // The size of an existing segment counts, not --size.
    let text = "x".repeat(2000);
    shm_wr().args(["--key", &key.to_string(), "--size", "2", "--truncate", &text]).assert().code(0);
    assert_eq!(text_at(*key), b"xxx");
}

#[test]
fn an_existing_larger_segment_is_used_in_full() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 3000, 0o600).unwrap();
    let text = "x".repeat(2999);
    shm_wr().args(["--key", &key.to_string(), &text]).assert().code(0);
    assert_eq!(text_at(*key), text.as_bytes());
    shm_wr().args(["--key", &key.to_string(), &"y".repeat(3000)]).assert().code(255);
    assert_eq!(text_at(*key), text.as_bytes());
}

#[test]
fn standard_input_is_written_byte_for_byte() {
    let key = ScratchKey::new();
    let text = b"line\nline\xff\x1b[0m\n";
    let mut command = shm_wr();
    command.args(["--key", &key.to_string(), "--stdin"]).write_stdin(&text[..]);
    command.assert().code(0).stdout("shm write success\n");
    assert_eq!(text_at(*key), text);
}

#[test]
fn standard_input_that_does_not_fit_is_refused_without_reading_all_of_it() {
    let key = ScratchKey::new();
    let mut command = shell("yes | \"$0\" \"$@\"", &["--key", &key.to_string(), "--stdin"]);
    command.timeout(std::time::Duration::from_secs(20));
    command.assert().code(255).stderr(starts_with(DOES_NOT_FIT));
    assert!(Segment::find(*key).is_err());
}

#[test]
fn a_nul_in_standard_input_is_refused_with_its_position() {
    let key = ScratchKey::new();
    let mut command = shm_wr();
    command.args(["--key", &key.to_string(), "--stdin"]).write_stdin(&b"ab\0cd"[..]);
    command.assert().code(255).stdout("shm write failed\n").stderr(
        "the text has a NUL at byte 2\n\
         cause: a text ends at its first NUL: readers would not see the bytes after it\n\
         hint: remove the NUL, or give --truncate to write only the bytes before it\n",
    );
    assert!(Segment::find(*key).is_err());
}

#[test]
fn truncate_cuts_at_a_nul() {
    let key = ScratchKey::new();
    let mut command = shm_wr();
    command.args(["--key", &key.to_string(), "--stdin", "--truncate"]);
    command.write_stdin(&b"ab\0cd"[..]).assert().code(0);
    assert_eq!(text_at(*key), b"ab");
}

#[test]
fn a_length_error_comes_before_a_later_nul() {
    let key = ScratchKey::new();
    let mut command = shm_wr();
    command.args(["--key", &key.to_string(), "--size", "3", "--stdin"]);
    command.write_stdin(&b"abc\0"[..]).assert().code(255).stderr(starts_with(DOES_NOT_FIT));
}
