use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

use crate::{shell, shm_wr, text_at};

fn on(path: &Path) -> Command {
    let mut command = shm_wr();
    // A FIFO must be refused at once; the tool must not wait for its peer.
    command.timeout(Duration::from_secs(20)).arg("--file").arg(path);
    command
}

#[test]
fn a_new_file_has_the_given_size_and_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    shell("umask 077; exec \"$0\" \"$@\"", &["--file"])
        .arg(&path)
        .args(["--size", "2K", "--mode", "0664", "hello"])
        .assert()
        .code(0)
        .stdout("shm write success\n");
    let metadata = path.metadata().unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (2048, 0o664));
    assert_eq!(text_at(path), b"hello");
}

#[test]
fn a_file_grows_to_the_size_and_never_shrinks() {
    let file = tempfile::NamedTempFile::new().unwrap();
    on(file.path()).args(["--size", "10", "abc"]).assert().code(0);
    assert_eq!(fs::read(&file).unwrap(), b"abc\0\0\0\0\0\0\0");
    fs::write(&file, "0123456789").unwrap();
    on(file.path()).args(["--size", "5", "ab"]).assert().code(0);
    assert_eq!(fs::read(&file).unwrap(), b"ab\x003456789");
}

#[test]
fn create_new_refuses_an_existing_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    on(file.path()).args(["--create-new", "x"]).assert().code(255).stderr(format!(
        "open failed, errno: 17 msg: File exists\n\
         cause: {} already exists\n\
         hint: omit --create-new to write to it, or choose another name\n",
        file.path().display()
    ));
    assert_eq!(file.path().metadata().unwrap().len(), 0);
}

/// Checks that writing and removing fail because `path` is not a regular file.
fn assert_refused(path: &Path, kind: &str) {
    for arguments in [&["x"][..], &["--remove"]] {
        on(path).args(arguments).assert().code(255).stderr(
            contains(format!("\ncause: {} is {kind}, not a regular file\n", path.display()))
                .and(contains("\nhint: choose a regular file, or one that does not exist yet\n")),
        );
    }
}

#[test]
fn a_fifo_is_refused_without_waiting_for_a_peer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    Command::new("mkfifo").arg(&path).assert().success();
    assert_refused(&path, "a FIFO");
    assert!(path.metadata().unwrap().file_type().is_fifo());
}

#[test]
fn a_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(folder.path(), "a directory");
    assert!(folder.path().is_dir());
}

#[test]
fn a_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_refused(&path, "a socket");
    assert!(path.metadata().unwrap().file_type().is_socket());
}

#[test]
fn a_device_is_refused() {
    on(Path::new("/dev/null")).arg("x").assert().code(255).stdout("shm write failed\n").stderr(
        starts_with(
            "open failed, errno: 22 msg: Invalid argument\n\
             cause: /dev/null is a character device, not a regular file\n",
        ),
    );
}

#[test]
fn a_missing_directory_has_its_own_cause_and_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/file");
    on(&path).arg("x").assert().code(255).stderr(format!(
        "open failed, errno: 2 msg: No such file or directory\n\
         cause: the directory of {} does not exist\n\
         hint: create the directory, or mount the volume that contains it\n",
        path.display()
    ));
}

#[test]
fn an_error_without_a_specific_cause_names_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("below");
    on(&below).arg("x").assert().code(255).stderr(
        starts_with("open failed, errno: 20 msg: Not a directory\ncause: ")
            .and(contains(below.to_str().unwrap())),
    );
}

#[test]
fn a_link_is_followed_for_writing_and_removed_without_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "").unwrap();
    symlink(&file, &link).unwrap();
    on(&link).arg("x").assert().code(0);
    assert_eq!(text_at(file.clone()), b"x");
    on(&link).arg("--remove").assert().code(0);
    assert!(file.exists() && !link.is_symlink());
    // A dangling link is an error, not an endless attempt to create the file.
    symlink(folder.path().join("nowhere"), &link).unwrap();
    on(&link).arg("x").assert().code(255).stderr(
        starts_with("open failed, errno: 2 ").and(contains("is a dangling symbolic link\n")),
    );
}

#[test]
fn remove_removes_a_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    on(&path).arg("x").assert().code(0);
    on(&path).arg("--remove").assert().code(0).stdout("shm remove success\n");
    assert!(!path.exists());
    let message = "unlink failed, errno: 2 msg: No such file or directory\ncause: ";
    on(&path)
        .arg("--remove")
        .assert()
        .code(255)
        .stdout("shm remove failed\n")
        .stderr(starts_with(format!("{message}{} does not exist\n", path.display())));
}
