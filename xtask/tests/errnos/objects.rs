//! /dev/shm: ENOENT, ENOSPC, EROFS.

use std::fs;

use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_cli::change::Change;
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::MOUNTS;
use shm_testkit::{Trial, trials};

use crate::{change, shm_rd, shm_wr, tells};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            enoent_of_shm_open_names_the_path;
        Trial::isolated, &[MOUNTS] =>
            enoent_of_shm_open_says_that_dev_shm_is_missing,
            enospc_of_posix_fallocate_names_the_free_space_and_leaves_nothing,
            enospc_in_another_tmpfs_names_its_mount,
            enospc_of_shm_open_says_that_no_inode_is_free,
            a_full_dev_shm_never_kills_the_writer,
            erofs_says_that_a_file_system_is_read_only;
    ]
}

fn enoent_of_shm_open_names_the_path() {
    tells(
        &mut shm_rd(&["--posix", "shm_tools_absent"]),
        "shm_open failed, errno: 2 msg: No such file or directory",
        "/dev/shm/shm_tools_absent does not exist",
        &format!("write it first, or share the writer's /dev/shm; {}", change(Change::Join)),
    );
    tells(
        &mut shm_rd(&["--file", "/dev/../absent"]),
        "open failed, errno: 2 msg: No such file or directory",
        "/dev/../absent does not exist",
        "write it first, or mount the volume here on which the writer has it",
    );
}

fn enoent_of_shm_open_says_that_dev_shm_is_missing() {
    // A container with --ipc=none has no /dev/shm.
    mount_tmpfs("/dev", "size=64k");
    for command in [&mut shm_rd(&["--posix", "name"]), &mut shm_wr(&["--posix", "name", "x"])] {
        tells(
            command,
            "shm_open failed, errno: 2 msg: No such file or directory",
            "/dev/shm does not exist",
            &format!("run the container with one; {}", change(Change::PrivateShm)),
        );
    }
}

fn enospc_of_posix_fallocate_names_the_free_space_and_leaves_nothing() {
    mount_tmpfs("/dev/shm", "size=64k");
    tells(
        &mut shm_wr(&["--posix", "name", "--size", "1M", "x"]),
        "posix_fallocate failed, errno: 28 msg: No space left on device",
        "1048576 bytes do not fit into /dev/shm, which has 65536 bytes free",
        "give a smaller --size, or enlarge the tmpfs at /dev/shm, which no --shm-size made: \
         mount -o remount,size=SIZE /dev/shm",
    );
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);

    shm_wr(&["--posix", "name", "--size", "4K", "kept"]).assert().code(0);
    shm_wr(&["--posix", "name", "--size", "1M", "x"]).assert().code(255).stderr(
        starts_with("posix_fallocate failed, errno: 28 ").and(contains("has 61440 bytes free")),
    );
    assert_eq!(fs::metadata("/dev/shm/name").unwrap().len(), 4096, "the object grew");
    shm_rd(&["--posix", "name", "--raw"]).assert().code(0).stdout("kept");
}

fn enospc_in_another_tmpfs_names_its_mount() {
    mount_tmpfs("/mnt", "size=64k");
    tells(
        &mut shm_wr(&["--file", "/mnt/name", "--size", "1M", "x"]),
        "posix_fallocate failed, errno: 28 msg: No space left on device",
        "1048576 bytes do not fit into /mnt, which has 65536 bytes free",
        "give a smaller --size, or enlarge the tmpfs at /mnt (its mount option size=SIZE)",
    );
}

fn enospc_of_shm_open_says_that_no_inode_is_free() {
    mount_tmpfs("/dev/shm", "size=10m,nr_inodes=3");
    for name in ["a", "b"] {
        shm_wr(&["--posix", name, "x"]).assert().code(0);
    }
    tells(
        &mut shm_wr(&["--posix", "c", "x"]),
        "shm_open failed, errno: 28 msg: No space left on device",
        "the file system of /dev/shm has no free inode: it can have 3 files and directories",
        "remove objects (shm_wr --remove --posix NAME), or mount it with more inodes (on a tmpfs: \
         nr_inodes=NUMBER)",
    );
    shm_wr(&["--posix", "a", "--remove"]).assert().code(0);
    shm_wr(&["--posix", "c", "x"]).assert().code(0);
}

fn a_full_dev_shm_never_kills_the_writer() {
    mount_tmpfs("/dev/shm", "size=64k");
    fs::write("/dev/shm/filler", vec![1; 65_536]).unwrap();
    let failed = shm_wr(&["--posix", "name", "x"]).assert().code(255);
    failed
        .stderr(contains("\ncause: 1024 bytes do not fit into /dev/shm, which has 0 bytes free\n"));
    assert!(fs::metadata("/dev/shm/name").is_err());
}

fn erofs_says_that_a_file_system_is_read_only() {
    mount_tmpfs("/dev/shm", "ro");
    let hint = "mount it for writing: mount -o remount,rw /dev/shm";
    for (arguments, call) in
        [(["--posix", "name"], "shm_open"), (["--file", "/dev/shm/name"], "open")]
    {
        tells(
            shm_wr(&arguments).arg("x"),
            &format!("{call} failed, errno: 30 msg: Read-only file system"),
            "/dev/shm/name is on a read-only file system",
            hint,
        );
    }
}
