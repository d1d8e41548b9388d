use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_testkit::scratch::ScratchName;

use crate::{shell, shm_wr, text_at};

fn on(name: &ScratchName) -> Command {
    let mut command = shm_wr();
    command.timeout(Duration::from_secs(20)).args(["--posix", name]);
    command
}

#[test]
fn a_posix_object_has_the_given_size_and_mode_and_allocated_memory() {
    let name = ScratchName::new();
    shell("umask 077; exec \"$0\" \"$@\"", &[])
        .args(["--posix", &name, "--size", "8K", "--mode", "0622", "hello"])
        .assert()
        .code(0)
        .stdout("shm write success\n")
        .stderr("");
    let metadata = name.location().path().metadata().unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (8192, 0o622));
    assert_eq!(metadata.blocks() * 512, 8192);
}

#[test]
fn the_slash_before_a_name_is_optional() {
    let name = ScratchName::new();
    shm_wr().args(["--posix", name.strip_prefix('/').unwrap(), "x"]).assert().code(0);
    assert_eq!(text_at(name.parse::<shm_core::posix::Name>().unwrap()), b"x");
}

#[test]
fn create_new_and_remove_work_as_on_a_segment() {
    let name = ScratchName::new();
    on(&name).args(["--create-new", "first"]).assert().code(0);
    on(&name)
        .args(["--create-new", "second"])
        .assert()
        .code(255)
        .stdout("shm write failed\n")
        .stderr(starts_with("shm_open failed, errno: 17 msg: File exists\ncause: /dev/shm/"));
    assert_eq!(text_at(name.parse::<shm_core::posix::Name>().unwrap()), b"first");
    on(&name).arg("--remove").assert().code(0).stdout("shm remove success\n").stderr("");
    assert!(!name.location().path().exists());
    on(&name)
        .arg("--remove")
        .assert()
        .code(255)
        .stdout("shm remove failed\n")
        .stderr(starts_with("shm_unlink failed, errno: 2 msg: No such file or directory\n"));
}

#[test]
fn a_fifo_in_dev_shm_is_refused_at_once() {
    let name = ScratchName::new();
    Command::new("mkfifo").arg(name.location().path()).assert().success();
    on(&name).arg("x").assert().code(255).stderr(
        starts_with("shm_open failed, errno: 22 msg: Invalid argument\ncause: ")
            .and(contains("is a FIFO, not a regular file")),
    );
}

#[test]
fn a_link_in_dev_shm_is_not_followed() {
    let (name, file) = (ScratchName::new(), tempfile::NamedTempFile::new().unwrap());
    symlink(file.path(), name.location().path()).unwrap();
    on(&name).arg("x").assert().code(255).stderr(
        starts_with("shm_open failed, errno: 22 msg: Invalid argument\ncause: /dev/shm/")
            .and(contains(" is a symbolic link, not a regular file\n")),
    );
    assert_eq!(file.path().metadata().unwrap().len(), 0);
}
