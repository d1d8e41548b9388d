//! Texts in segments, objects and files, and the errors for missing ones.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_core::Segment;
use shm_testkit::scratch::{ScratchKey, ScratchName};

use crate::{put, shm_rd};

#[test]
fn a_text_is_printed_with_a_space_after_each_byte() {
    let key = ScratchKey::new();
    put(*key, b"hello_world");
    shm_rd()
        .args(["--key", &key.to_string()])
        .assert()
        .code(0)
        .stdout("h e l l o _ w o r l d \nshm read success\n")
        .stderr("");
    // A reader changes only the times.
    let stat = Segment::find(*key).unwrap().stat().unwrap();
    assert_eq!((stat.nattch, stat.dest), (0, false));
}

#[test]
fn an_empty_text_is_an_empty_line() {
    let key = ScratchKey::new();
    put(*key, b"");
    shm_rd().args(["--key", &key.to_string()]).assert().code(0).stdout("\nshm read success\n");
}

#[test]
fn raw_prints_the_text_and_nothing_else() {
    let key = ScratchKey::new();
    put(*key, b"\xff\x1b[31mred\n");
    shm_rd()
        .args(["--key", &key.to_string(), "--raw"])
        .assert()
        .code(0)
        .stdout(&b"\xff\x1b[31mred\n"[..])
        .stderr("");
}

#[test]
fn a_pipe_gets_all_bytes_unchanged() {
    let key = ScratchKey::new();
    put(*key, b"\x1b\xff\x07");
    shm_rd()
        .args(["--key", &key.to_string()])
        .assert()
        .code(0)
        .stdout(&b"\x1b \xff \x07 \nshm read success\n"[..]);
}

#[test]
fn a_full_segment_without_a_nul_is_read_to_its_end() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 5000, 0o600).unwrap();
    segment.attach_writable().unwrap().write_at(0, &[b'x'; 5000]).unwrap();
    let text = "x".repeat(5000);
    shm_rd().args(["--key", &key.to_string(), "--raw"]).assert().code(0).stdout(text);
}

#[test]
fn a_read_only_segment_can_be_read() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 10, 0o444).unwrap();
    assert_eq!(segment.stat().unwrap().mode, 0o444);
    shm_rd().args(["--key", &key.to_string()]).assert().code(0);
}

#[test]
fn the_error_of_a_missing_segment_names_its_key() {
    let key = ScratchKey::new();
    shm_rd()
        .args(["--key", &key.to_string()])
        .assert()
        .code(255)
        .stdout("shm read failed\n")
        .stderr(
            starts_with(format!(
                "shmget failed, errno: 2 msg: No such file or directory\n\
             cause: no segment has key {} in this IPC namespace, ipc:[",
                *key
            ))
            .and(contains(
                "\nhint: write a text first (shm_wr TEXT with the same --key and --object), or \
                 share the writer's IPC namespace; ",
            )),
        );
}

#[test]
fn raw_keeps_standard_output_empty_when_it_fails() {
    let key = ScratchKey::new();
    let failed = shm_rd().args(["--key", &key.to_string(), "--raw"]).assert().code(255);
    failed.stdout("").stderr(starts_with("shmget failed, errno: 2 "));
}

#[test]
fn objects_and_files_are_read_like_segments() {
    let (name, file) = (ScratchName::new(), tempfile::NamedTempFile::new().unwrap());
    put(name.parse::<shm_core::posix::Name>().unwrap(), b"posix");
    put(file.path().to_owned(), b"file");
    let posix = shm_rd().args(["--posix", &name]).assert().code(0);
    posix.stdout("p o s i x \nshm read success\n");
    let bare = name.strip_prefix('/').unwrap();
    shm_rd().args(["--posix", bare, "--raw"]).assert().code(0).stdout("posix");
    let file = shm_rd().arg("--file").arg(file.path()).assert().code(0);
    file.stdout("f i l e \nshm read success\n");
}

#[test]
fn a_file_without_a_nul_is_read_to_its_end_and_an_empty_one_is_an_empty_text() {
    let file = tempfile::NamedTempFile::new().unwrap();
    shm_rd().arg("--raw").arg("--file").arg(file.path()).assert().code(0).stdout("");
    let text = "abcdefgh".repeat(40_000);
    fs::write(&file, &text).unwrap();
    shm_rd().arg("--raw").arg("--file").arg(file.path()).assert().code(0).stdout(text);
}

#[test]
fn the_error_of_a_missing_object_or_file_names_its_path() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    for (option, value, call, path, next) in [
        (
            "--posix",
            &*name,
            "shm_open",
            format!("/dev/shm{}", &*name),
            "share the writer's /dev/shm; ",
        ),
        (
            "--file",
            file.to_str().unwrap(),
            "open",
            file.to_str().unwrap().to_owned(),
            "mount the volume here",
        ),
    ] {
        shm_rd().args([option, value]).assert().code(255).stdout("shm read failed\n").stderr(
            starts_with(format!(
                "{call} failed, errno: 2 msg: No such file or directory\n\
                 cause: {path} does not exist\nhint: write it first, or {next}"
            )),
        );
    }
}

#[test]
fn a_fifo_a_directory_and_a_device_are_refused_at_once() {
    let (folder, name) = (tempfile::tempdir().unwrap(), ScratchName::new());
    let fifo = folder.path().join("fifo");
    Command::new("mkfifo").arg(&fifo).arg(name.location().path()).assert().success();
    let refused = "failed, errno: 22 msg: Invalid argument\ncause: ";
    for (path, kind) in [
        (&*fifo, "a FIFO"),
        (folder.path(), "a directory"),
        (Path::new("/dev/zero"), "a character device"),
    ] {
        let named = format!("open {refused}{} is {kind}, not a regular file\n", path.display());
        let assert = shm_rd().arg("--file").arg(path).assert().code(255);
        assert.stdout("shm read failed\n").stderr(starts_with(named));
    }
    let posix = shm_rd().args(["--posix", &name]).assert().code(255);
    posix.stderr(starts_with(format!("shm_open {refused}/dev/shm{}", &*name)));
}
