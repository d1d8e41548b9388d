use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_core::Segment;
use shm_core::segment::RemoveOnDrop;
use shm_testkit::scratch::ScratchKey;

use crate::{shell, shm_wr, text_at};

fn on(key: &ScratchKey) -> Command {
    let mut command = shm_wr();
    command.args(["--key", &key.to_string()]);
    command
}

#[test]
fn a_text_is_written_into_a_new_segment_of_1024_bytes_and_mode_0666() {
    let key = ScratchKey::new();
    on(&key).arg("hello_world").assert().code(0).stdout("shm write success\n").stderr("");
    assert_eq!(text_at(*key), b"hello_world");
    let stat = Segment::find(*key).unwrap().stat().unwrap();
    assert_eq!((stat.size, stat.mode, stat.nattch), (1024, 0o666, 0));
}

#[test]
fn a_shorter_text_replaces_a_longer_one() {
    let key = ScratchKey::new();
    on(&key).arg("a long text").assert().code(0);
    on(&key).arg("short").assert().code(0);
    assert_eq!(text_at(*key), b"short");
    on(&key).arg("").assert().code(0);
    assert_eq!(text_at(*key), b"");
}

#[test]
fn bytes_that_are_not_utf_8_are_written_as_they_are() {
    let key = ScratchKey::new();
    on(&key).arg(OsStr::from_bytes(b"\xff\x01\xe5x")).assert().code(0);
    assert_eq!(text_at(*key), b"\xff\x01\xe5x");
}

#[test]
fn a_size_may_have_a_suffix_that_multiplies_by_1024() {
    for (size, bytes) in [("3", 3), ("4K", 4096), ("2M", 2 << 20), ("1G", 1 << 30), ("4KiB", 4096)]
    {
        let key = ScratchKey::new();
        on(&key).args(["--size", size, "x"]).assert().code(0);
        assert_eq!(Segment::find(*key).unwrap().stat().unwrap().size, bytes, "{size}");
    }
}

#[test]
fn the_umask_does_not_change_the_mode() {
    let key = ScratchKey::new();
    shell("umask 077; exec \"$0\" \"$@\"", &[])
        .args(["--key", &key.to_string(), "--mode", "0646", "x"])
        .assert()
        .code(0);
    assert_eq!(Segment::find(*key).unwrap().stat().unwrap().mode, 0o646);
}

#[test]
fn an_existing_segment_keeps_its_mode_and_its_size() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 5000, 0o600).unwrap();
    on(&key).args(["--mode", "0666", "--size", "100", "x"]).assert().code(0);
    let stat = segment.stat().unwrap();
    assert_eq!((stat.mode, stat.size), (0o600, 5000));
    assert_eq!(Segment::find(*key).unwrap(), segment);
}

#[test]
fn a_segment_smaller_than_the_requested_size_is_unchanged() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    on(&key).arg("x").assert().code(255).stdout("shm write failed\n").stderr(
        "shmget failed, errno: 22 msg: Invalid argument\n\
         cause: the segment has 100 bytes, fewer than the requested 1024\n\
         hint: give --size 100, or remove the segment first (--remove)\n",
    );
    assert_eq!(text_at(*key), b"");
    // The hint works.
    on(&key).args(["--size", "100", "x"]).assert().code(0);
    assert_eq!(segment.stat().unwrap().size, 100);
}

#[test]
fn create_new_refuses_a_taken_key_and_names_its_owner() {
    let key = ScratchKey::new();
    on(&key).args(["--create-new", "--mode", "0604", "first"]).assert().code(0);
    let id = Segment::find(*key).unwrap().id();
    on(&key)
        .args(["--create-new", "second"])
        .assert()
        .code(255)
        .stdout("shm write failed\n")
        .stderr(
            starts_with(format!(
                "shmget failed, errno: 17 msg: File exists\n\
             cause: key {} is in use by segment {id} of user ",
                *key
            ))
            .and(contains(", mode 0604, 1024 bytes\nhint: omit --create-new")),
        );
    assert_eq!(text_at(*key), b"first");
}

#[test]
fn remove_removes_a_segment_once() {
    let key = ScratchKey::new();
    on(&key).arg("x").assert().code(0);
    on(&key).arg("--remove").assert().code(0).stdout("shm remove success\n").stderr("");
    assert!(Segment::find(*key).is_err());
    on(&key).arg("--remove").assert().code(255).stdout("shm remove failed\n").stderr(starts_with(
        "shmget failed, errno: 2 msg: No such file or directory\ncause: no segment has key ",
    ));
}

#[test]
fn a_removed_but_attached_segment_does_not_block_its_key() {
    let key = ScratchKey::new();
    let old = RemoveOnDrop(Segment::create_new(*key, 1024, 0o600).unwrap());
    let attachment = old.0.attach().unwrap();
    on(&key).arg("--remove").assert().code(0);
    on(&key).arg("new").assert().code(0);
    assert_eq!(text_at(*key), b"new");
    assert_ne!(Segment::find(*key).unwrap(), old.0);
    let mut first = [1];
    assert_eq!(attachment.read_at(0, &mut first), 1);
    assert_eq!(first, [0], "the old segment is unchanged");
}
