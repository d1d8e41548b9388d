//! Files on full disks, under limits, at long paths, and planted by other users.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::{ANOTHER_USER, MOUNTS, STRACE};
use shm_testkit::programs::shell;
use shm_testkit::tools::{path, tool};
use shm_testkit::{Need, Trial, trials};

use crate::static_path;

const DISKS: Need = Need::new(
    "file system images (mkfs.ext4, mkfs.ext2, loop devices)",
    "mount -t tmpfs none /mnt && truncate -s 8M /mnt/disk && mkfs.ext2 -q /mnt/disk && \
     mkdir /mnt/on && mount -o loop /mnt/disk /mnt/on",
);

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[DISKS] =>
            a_failed_growth_on_a_disk_frees_the_blocks_it_allocated;
        Trial::isolated, &[MOUNTS, STRACE] =>
            a_growth_beyond_the_free_space_is_not_attempted;
        Trial::isolated, &[MOUNTS] =>
            a_failed_growth_leaves_a_tmpfs_unchanged,
            a_file_size_limit_is_an_error_and_leaves_nothing,
            files_of_virtual_file_systems_are_refused_by_name,
            the_error_for_a_too_long_path_has_its_length_and_not_the_path,
            running_out_of_descriptors_is_reported_as_the_cause,
            a_report_that_does_not_fit_leaves_the_old_report,
            control_characters_in_the_path_of_a_cause_are_escaped,
            closed_streams_are_errors_without_dev_null;
        Trial::isolated, &[MOUNTS, ANOTHER_USER] =>
            links_of_others_in_a_sticky_directory_are_not_followed,
            files_of_others_in_a_sticky_directory_are_read_and_not_written,
            links_that_no_other_user_could_have_planted_are_followed;
    ]
}

fn sh(script: &str) -> String {
    let assert = Command::new("sh").args(["-ec", script]).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn free(place: &str) -> u64 {
    sh(&format!("stat -f -c '%f %S' {place} | {{ read f s; echo $((f * s)); }}"))
        .trim()
        .parse()
        .unwrap()
}

/// Asserts that neither an existing nor a new file can grow to `size`, and that nothing changes.
fn assert_cannot_grow(size: &str, existing: &str, new: &str) {
    fs::write(existing, "kept").unwrap();
    sh("sync");
    let before = free(Path::new(existing).parent().unwrap().to_str().unwrap());
    for place in [existing, new] {
        let failed = tool("shm_wr").args(["--file", place, "--size", size, "x"]).assert();
        failed.code(255).stderr(
            starts_with("posix_fallocate failed, errno: 28 msg: No space left on device\n")
                .and(contains(" bytes do not fit into ")),
        );
        sh("sync");
        let after = free(Path::new(existing).parent().unwrap().to_str().unwrap());
        assert_eq!(after, before, "{size} for {place}");
    }
    assert_eq!(fs::read(existing).unwrap(), b"kept");
    assert!(!Path::new(new).exists());
}

fn a_failed_growth_on_a_disk_frees_the_blocks_it_allocated() {
    mount_tmpfs("/mnt", "size=64m");
    // ext2 has no fallocate(2): the C library writes to each block instead.
    for kind in ["ext4", "ext2"] {
        sh(&format!(
            "cd /mnt; rm -f disk; truncate -s 16M disk; mkfs.{kind} -q disk; mkdir -p on; \
             mount -o loop disk on"
        ));
        assert_cannot_grow("1T", "/mnt/on/existing", "/mnt/on/new");
        // The data fits but its indirect blocks do not, so the allocation fails halfway.
        if kind == "ext2" {
            let most = free("/mnt/on").to_string();
            assert_cannot_grow(&most, "/mnt/on/existing", "/mnt/on/new");
        }
        sh("umount /mnt/on");
    }
}

fn a_failed_growth_leaves_a_tmpfs_unchanged() {
    mount_tmpfs("/mnt", "size=1m");
    assert_cannot_grow("1T", "/mnt/existing", "/mnt/new");
    // One page is free, and the file already has its first page: growing by one page succeeds.
    fs::write("/mnt/existing", "kept").unwrap();
    let filler = free("/mnt") - 4096;
    fs::write("/mnt/filler", vec![1; usize::try_from(filler).unwrap()]).unwrap();
    let grown = ["--file", "/mnt/existing", "--size", "8K", "x"];
    tool("shm_wr").args(grown).assert().code(0);
}

fn a_growth_beyond_the_free_space_is_not_attempted() {
    mount_tmpfs("/mnt", "size=1m");
    let traced = |size: &str| {
        let mut strace = Command::new("strace");
        strace.args(["-e", "trace=fallocate"]).arg(path("shm_wr"));
        strace.args(["--file", "/mnt/file", "--size", size, "x"]).assert()
    };
    traced("2M").code(255).stderr(contains("fallocate(").not().and(contains("No space left")));
    traced("1K").code(0).stderr(contains("fallocate("));
}

fn a_file_size_limit_is_an_error_and_leaves_nothing() {
    mount_tmpfs("/mnt", "size=1m");
    let limited = |name: &str, script: &str| {
        let mut shell = Command::new("prlimit");
        shell.args(["--fsize=0", "sh", "-c", &format!("exec \"$0\" {script}")]).arg(path(name));
        shell
    };
    limited("shm_wr", "--file /mnt/new x").assert().code(255).stderr(
        starts_with("posix_fallocate failed, errno: 27 msg: File too large\n")
            .and(contains("\ncause: 1024 bytes exceed RLIMIT_FSIZE, 0 bytes\n")),
    );
    assert!(!Path::new("/mnt/new").exists());
    limited("shm_wr", "--posix shm_tools_limit x").assert().code(255);
    assert!(!Path::new("/dev/shm/shm_tools_limit").exists());

    tool("shm_wr").args(["--file", "/mnt/old", "--size", "8", "kept"]).assert().code(0);
    for script in ["--file /mnt/old --size 9 x", "--file /mnt/old --size 8 x"] {
        limited("shm_wr", script).assert().code(255).stderr(contains("errno: 27"));
        assert_eq!(fs::read("/mnt/old").unwrap(), b"kept\0\0\0\0");
    }
    let output = limited("shm_rd", "--file /mnt/old >>/mnt/output").assert().code(255);
    output.stderr("cannot write to standard output: File too large (os error 27)\n");
}

fn links_of_others_in_a_sticky_directory_are_not_followed() {
    mount_tmpfs("/mnt", "size=1m,mode=1777");
    sh("mkdir -m 700 /mnt/own; echo secret >/mnt/own/file; cd /mnt; ln -s own/file trap; \
        ln -s own/new dangling; ln -s trap second; chown -h 65534:65534 trap dangling");
    for (name, named) in [("trap", "trap"), ("second", "trap"), ("dangling", "dangling")] {
        let place = format!("/mnt/{name}");
        for (name, text) in [("shm_wr", Some("x")), ("shm_rd", None)] {
            let refused = tool(name).args(["--file", &place]).args(text).assert().code(255);
            refused.stderr(starts_with("open failed, errno: 13 msg: Permission denied\n").and(
                contains(format!(
                    "\ncause: /mnt/{named} is a symbolic link of user 65534 in a sticky, \
                     world-writable directory, so it is not followed\n\
                     hint: if you trust it, give its target instead: "
                )),
            ));
        }
    }
    assert_eq!(fs::read("/mnt/own/file").unwrap(), b"secret\n");
    assert!(!Path::new("/mnt/own/new").exists());
}

fn links_that_no_other_user_could_have_planted_are_followed() {
    mount_tmpfs("/mnt", "size=1m,mode=1777");
    fs::create_dir("/mnt/own").unwrap();
    fs::write("/mnt/own/file", "text").unwrap();
    symlink("own/file", "/mnt/ours").unwrap();
    symlink("file", "/mnt/own/others").unwrap();
    sh("chown -h 65534 /mnt/own/others");
    for place in ["/mnt/ours", "/mnt/own/others"] {
        tool("shm_rd").args(["--raw", "--file", place]).assert().code(0).stdout("text");
        tool("shm_wr")
            .args(["--file", place, "--size", "4", "--truncate", "text"])
            .assert()
            .code(0);
        fs::write("/mnt/own/file", "text").unwrap();
    }
    // The kernel's link to an open file, /proc/self/fd/N, is followed too.
    let script = "exec 3</mnt/own/file; rm /mnt/own/file; exec \"$0\" --raw --file /proc/self/fd/3";
    shell(script, path("shm_rd"), &[]).assert().code(0).stdout("text");
}

fn files_of_others_in_a_sticky_directory_are_read_and_not_written() {
    mount_tmpfs("/mnt", "size=1m,mode=1777");
    fs::write("/mnt/theirs", "text").unwrap();
    sh("chown 65534 /mnt/theirs; chmod 666 /mnt/theirs; mkfifo /mnt/fifo; chown 65534 /mnt/fifo");
    tool("shm_rd").args(["--raw", "--file", "/mnt/theirs"]).assert().code(0).stdout("text");
    tool("shm_wr").args(["--file", "/mnt/theirs", "x"]).assert().code(255).stderr(contains(
        "\ncause: /mnt/theirs is a file of user 65534 in a sticky, world-writable directory, so it \
         is not opened for writing\nhint: run this as that user",
    ));
    assert_eq!(fs::read("/mnt/theirs").unwrap(), b"text");
    for (name, text) in [("shm_wr", Some("x")), ("shm_rd", None)] {
        let refused = tool(name).args(["--file", "/mnt/fifo"]).args(text).assert().code(255);
        refused.stderr(contains("\ncause: /mnt/fifo is a FIFO, not a regular file\n"));
    }
    // The check applies only to directories that everybody may write to.
    fs::set_permissions("/mnt", fs::Permissions::from_mode(0o755)).unwrap();
    tool("shm_wr").args(["--file", "/mnt/theirs", "x"]).assert().code(0);
}

fn files_of_virtual_file_systems_are_refused_by_name() {
    let hint = "\nhint: choose a file on a volume\n";
    for (place, kind) in [
        ("/proc/sys/kernel/shmmni", "proc"),
        ("/proc/shm_tools_new", "proc"),
        ("/proc/self/comm", "proc"),
        ("/sys/kernel/notes", "sysfs"),
        ("/sys/shm_tools_new", "sysfs"),
    ] {
        let cause = format!(
            "\ncause: {place} is on {kind}, a virtual file system whose files cannot hold shared memory"
        );
        for (name, text) in [("shm_wr", Some("x")), ("shm_rd", None)] {
            let refused = tool(name).args(["--file", place]).args(text).assert().code(255);
            refused.stderr(contains(cause.as_str()).and(contains(hint)));
        }
    }
}

fn the_error_for_a_too_long_path_has_its_length_and_not_the_path() {
    mount_tmpfs("/mnt", "size=1m");
    let deep = format!("/mnt/{}x", "d/".repeat(100_000 / 2));
    for (place, length) in [(deep.as_str(), 100_006), (&format!("/mnt/{}", "x".repeat(256)), 261)] {
        for (name, text) in [("shm_wr", Some("x")), ("shm_rd", None)] {
            let assert = tool(name).args(["--file", place]).args(text).assert().code(255);
            assert.stderr(format!(
                "open failed, errno: 36 msg: File name too long\ncause: the path has {length} bytes; \
                 the kernel allows 4095, and 255 for each component\nhint: use shorter names, \
                 or give a relative path from a closer directory (cd)\n"
            ));
        }
    }
    // A file so deep that its absolute path would be too long.
    let script = "cd /mnt; i=0; n=$(printf %0200d 0); while [ $i -lt 30 ]; do mkdir $n; cd -P $n; i=$((i + 1)); done; \
                  \"$0\" --file x here && exec \"$1\" --raw --file x";
    let assert = shell(script, path("shm_wr"), &[]).arg(path("shm_rd")).assert();
    assert.code(0).stdout("shm write success\nhere");
}

fn running_out_of_descriptors_is_reported_as_the_cause() {
    mount_tmpfs("/mnt", "size=1m");
    // The host's would keep the object.
    mount_tmpfs("/dev/shm", "size=1m");
    fs::write("/mnt/file", "text").unwrap();
    let limited = |limit: &str, name: &str, arguments: &[&str]| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg(static_path(name)).args(arguments);
        command
    };
    let cause = "\ncause: this process has reached its limit of open files, RLIMIT_NOFILE\n";
    for (name, arguments) in [
        ("shm_rd", &["--file", "/mnt/file"][..]),
        ("shm_wr", &["--file", "/mnt/new", "x"]),
        ("shm_wr", &["--posix", "shm_tools_new", "x"]),
        ("shm_wr", &["--object", "mqueue", "x"]),
    ] {
        let refused = limited("3", name, arguments).assert().code(255);
        refused.stderr(contains("errno: 24 msg: Too many open files\n").and(contains(cause)));
        limited("4", name, arguments).assert().code(0);
    }
    for arguments in [&[][..], &["--json"], &["--limits"]] {
        limited("3", "shm_ls", arguments).assert().code(0);
    }
    limited("3", "shm_wr", &["hello"]).assert().code(0);
    limited("3", "shm_rd", &["--raw"]).assert().code(0).stdout("hello");
}

fn a_report_that_does_not_fit_leaves_the_old_report() {
    mount_tmpfs("/mnt", "size=8k");
    fs::write("/mnt/report", "good").unwrap();
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["experiment", "--engine", "model", "--format", "html", "--output", "/mnt/report"]);
    xtask.assert().code(2).stderr(contains("cannot write the report"));
    assert_eq!(fs::read("/mnt/report").unwrap(), b"good");
    assert_eq!(fs::read_dir("/mnt").unwrap().count(), 1);
}

fn control_characters_in_the_path_of_a_cause_are_escaped() {
    let place = "/mnt/\u{1b}[31m\u{202e}\u{2028}\nhint: \u{9b}2J";
    let escaped = "/mnt/\\x1b[31m\\xe2\\x80\\xae\\xe2\\x80\\xa8\\x0ahint: \\xc2\\x9b2J";
    for (name, text) in [("shm_wr", Some("x")), ("shm_rd", None)] {
        let missing = format!("{place}/file");
        let assert = tool(name).args(["--file", &missing]).args(text).assert().code(255);
        let cause = format!("\ncause: the directory of {escaped}/file does not exist\n");
        assert.stderr(contains(cause));
    }
    for (name, option) in [("shm_wr", "--key"), ("shm_rd", "--key"), ("shm_ls", "--key")] {
        let assert = tool(name).args([option, "\u{1b}[31m\u{202e}"]).assert().code(2);
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(!stderr.contains(['\u{1b}', '\u{202e}']), "{stderr:?}");
    }
}

/// The standard library would open `/dev/null` for closed streams, and abort without it.
fn closed_streams_are_errors_without_dev_null() {
    let script = "mount -t tmpfs none /dev; exec \"$0\" --version <&- >&-";
    for (name, status) in [("shm_wr", 255), ("shm_rd", 255), ("shm_ls", 1)] {
        let mut shell = Command::new("sh");
        let assert = shell.args(["-ec", script]).arg(path(name)).assert().code(status);
        assert.stderr(starts_with("cannot write to standard output: Bad file descriptor"));
    }
}
