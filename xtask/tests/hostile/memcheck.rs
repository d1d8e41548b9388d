//! The tools under valgrind's memcheck: no uninitialised byte, no access out of bounds, no leak.
//!
//! These are the dynamic tools that cargo builds for tests. In a static program memcheck cannot
//! replace the C library's functions, and reports their word-sized accesses as errors.

use std::time::Duration;

use assert_cmd::Command;
use shm_cli::DEFAULT_KEY;
use shm_core::{Key, Segment};
use shm_testkit::need::{MOUNTS, VALGRIND};
use shm_testkit::{Trial, tools, trials};

use crate::mount;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[VALGRIND, MOUNTS] =>
            memcheck_finds_nothing_in_the_reader,
            memcheck_finds_nothing_in_the_writer,
            memcheck_finds_nothing_with_semaphores_and_queues,
            memcheck_finds_nothing_in_the_lister;
    ]
}

/// Asserts that a tool under memcheck exits with `status`; memcheck exits with 99 on an error.
#[track_caller]
fn clean(status: i32, name: &str, arguments: &[&str], stdin: &'static [u8]) {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--vgdb=no", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.args(["--error-exitcode=99", "--log-file=/dev/shm/log"]);
    command.arg(tools::path(name)).args(arguments).write_stdin(stdin);
    let output = command.timeout(Duration::from_secs(50)).output().unwrap();
    let log = std::fs::read_to_string("/dev/shm/log").unwrap();
    assert_eq!(
        (output.status.code(), &*log),
        (Some(status), ""),
        "{name} {arguments:?}: {output:?}"
    );
}

fn memcheck_finds_nothing_in_the_reader() {
    mount("1m");
    clean(255, "shm_rd", &["--json"], b"");
    // The text fills the segment to the last byte of its last page.
    let segment = Segment::create_new(DEFAULT_KEY, 8192, 0o600).unwrap();
    segment.attach_writable().unwrap().write_at(0, &[b'x'; 8192]).unwrap();
    clean(0, "shm_rd", &[], b"");
    clean(0, "shm_rd", &["--raw"], b"");
    clean(0, "shm_rd", &["--json"], b"");
    std::fs::write("/dev/shm/object", b"\xff\x1b[0m").unwrap();
    clean(0, "shm_rd", &["--json", "--posix", "object"], b"");
}

fn memcheck_finds_nothing_in_the_writer() {
    mount("1m");
    clean(0, "shm_wr", &["hello"], b"");
    clean(0, "shm_wr", &["--json", "--stdin", "--posix", "object"], b"some text");
    clean(255, "shm_wr", &["--size", "2", "--create-new", "--key", "5", "too long"], b"");
    clean(0, "shm_wr", &["--remove"], b"");
}

fn memcheck_finds_nothing_with_semaphores_and_queues() {
    mount("1m");
    for object in ["sem", "msg", "mqueue"] {
        clean(0, "shm_wr", &["--object", object, "hello"], b"");
        clean(0, "shm_rd", &["--object", object, "--raw"], b"");
    }
}

fn memcheck_finds_nothing_in_the_lister() {
    mount("1m");
    for key in 1..20 {
        let _ = Segment::create_new(Key::new(key).unwrap(), 100, 0o600).unwrap();
    }
    clean(0, "shm_ls", &[], b"");
    clean(0, "shm_ls", &["--json"], b"");
    clean(0, "shm_ls", &["--limits"], b"");
}
