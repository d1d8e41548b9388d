//! What the tools tell about each errno of the design's table that can be provoked: what failed,
//! the cause, and the next step.
#![forbid(unsafe_code)]

#[path = "../../../shm_core/tests/isolation/mod.rs"]
mod isolation;
mod limits;
mod objects;
mod permissions;
mod refusals;
#[path = "../tools/mod.rs"]
mod tools;

use std::process::ExitCode;

use assert_cmd::Command;
use isolation::{ANOTHER_USER, COMPILER, LIMITS, MOUNTS, OVERCOMMIT, Trial, trials};
use limits::*;
use objects::*;
use permissions::*;
use refusals::*;
use shm_core::{IpcNamespace, Key, Segment};
use tools::tool;

/// Checks all that a failed tool says.
#[track_caller]
fn tells(command: &mut Command, first: &str, cause: &str, hint: &str) {
    let said = format!("{first}\ncause: {cause}\nhint: {hint}\n");
    command.assert().code(255).stderr(said);
}

fn shm_wr(arguments: &[&str]) -> Command {
    let mut command = tool("shm_wr");
    command.args(arguments);
    command
}

fn shm_rd(arguments: &[&str]) -> Command {
    let mut command = tool("shm_rd");
    command.args(arguments);
    command
}

/// Covers a directory with a tmpfs.
fn mount(options: &str, place: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "none", place]).assert().success();
}

fn make(key: i32, size: usize, mode: u32) -> Segment {
    Segment::create_new(Key::new(key).unwrap(), size, mode).unwrap()
}

const ENOENT: &str = "shmget failed, errno: 2 msg: No such file or directory";
const WRITE_FIRST: &str = "write it first (shm_wr TEXT), or run this where it was written: docker \
                           exec in the same container, or --ipc=container:NAME";

/// The cause of a missing key, and what else the namespace holds.
fn no_such_key(others: &str) -> String {
    let namespace = IpcNamespace::current().unwrap();
    format!("no segment has key 0x0134b3d5 in this IPC namespace, {namespace}; {others}")
}

fn enoent_of_shmget_tells_the_namespace_and_what_it_holds() {
    let tells_of = |others: &str| {
        tells(&mut shm_rd(&[]), ENOENT, &no_such_key(others), WRITE_FIRST);
        tells(&mut shm_wr(&["--remove"]), ENOENT, &no_such_key(others), WRITE_FIRST);
    };
    tells_of("it holds no segments at all");
    let _ = make(1, 100, 0o600);
    tells_of("it holds 1 other segment");
    let _ = make(2, 100, 0o600);
    tells_of("it holds 2 other segments");
}

fn enoent_of_shmget_tells_of_segments_that_are_marked_for_destruction() {
    let segment = Segment::create_new(Key::DEFAULT, 100, 0o600).unwrap();
    let _attachment = segment.attach().unwrap();
    segment.remove().unwrap();
    let others =
        "it holds 1 other segment, 1 marked for destruction, whose keys no longer find them";
    tells(&mut shm_rd(&[]), ENOENT, &no_such_key(others), WRITE_FIRST);
}

fn eexist_of_shmget_tells_who_has_the_key() {
    let segment = Segment::create_new(Key::DEFAULT, 100, 0o640).unwrap();
    tells(
        &mut shm_wr(&["--create-new", "x"]),
        "shmget failed, errno: 17 msg: File exists",
        &format!(
            "key 0x0134b3d5 is taken by segment {} of user 0, mode 0640, 100 bytes",
            segment.id()
        ),
        "leave out --create-new to write to it, or choose another --key",
    );
}

fn main() -> ExitCode {
    // Sent here by a trial, as another user.
    if let Some(status) = permissions::attach_if_sent() {
        return status;
    }
    let trials = trials![
        Trial::private, &[] =>
            enoent_of_shmget_tells_the_namespace_and_what_it_holds,
            enoent_of_shmget_tells_of_segments_that_are_marked_for_destruction,
            eexist_of_shmget_tells_who_has_the_key,
            einval_of_shmget_tells_the_size_of_a_smaller_segment,
            enomem_of_shmat_tells_the_segment_that_found_no_room,
            enoent_of_shm_open_tells_the_path;
        Trial::private, &[OVERCOMMIT] =>
            enomem_of_shmget_tells_what_was_not_granted;
        Trial::private, &[LIMITS] =>
            einval_of_shmget_tells_the_largest_size,
            enospc_of_shmget_tells_that_all_segments_are_in_use,
            enospc_of_shmget_tells_that_all_pages_are_in_use;
        Trial::private, &[ANOTHER_USER, MOUNTS] =>
            eacces_of_shm_open_and_of_shm_unlink_tells_who_may_not;
        Trial::private, &[ANOTHER_USER] =>
            eacces_of_shmget_tells_who_may_not_access_what,
            eacces_of_shmat_tells_that_a_segment_can_be_read,
            eperm_of_shmctl_tells_who_owns_the_segment,
            a_user_who_may_read_alone_reads_and_does_not_write;
        Trial::private, &[COMPILER] =>
            a_seccomp_filter_is_named_for_what_it_refuses,
            a_refused_shmget_is_no_missing_segment;
        Trial::private, &[COMPILER, MOUNTS] =>
            without_system_v_calls_the_other_mechanisms_work;
        Trial::private, &[MOUNTS] =>
            enoent_of_shm_open_tells_that_dev_shm_is_missing,
            enospc_of_posix_fallocate_tells_what_is_free_and_leaves_nothing,
            a_full_dev_shm_never_kills_the_writer,
            erofs_tells_that_a_file_system_is_read_only;
    ];
    isolation::main(trials, tools::environment)
}
