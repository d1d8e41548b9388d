//! The messages of the tools for each errno that a test can provoke: what failed, the cause, and
//! the next step.
#![forbid(unsafe_code)]

mod frames;
mod limits;
mod objects;
mod permissions;
mod refusals;
mod rules;

use std::process::ExitCode;

use assert_cmd::Command;
use shm_cli::DEFAULT_KEY;
use shm_core::{IpcNamespace, Segment};
use shm_testkit::scratch::make;
use shm_testkit::tools::{self, tool};
use shm_testkit::{Suite, Trial, trials};

/// Asserts that a tool fails with exactly these three lines on standard error.
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

const ENOENT: &str = "shmget failed, errno: 2 msg: No such file or directory";
const WRITE_FIRST: &str = "write a text first (shm_wr TEXT with the same --key and --object), \
                           or run this in the IPC namespace of the writer: docker exec NAME, or \
                           docker run --ipc=container:NAME";

/// Returns the cause for a missing key; `others` says what else the namespace contains.
fn no_such_key(others: &str) -> String {
    let namespace = IpcNamespace::current().unwrap();
    format!("no segment has key 0x0134b3d5 in this IPC namespace, {namespace}; {others}")
}

fn enoent_of_shmget_names_the_namespace_and_counts_its_segments() {
    let tells_of = |others: &str| {
        tells(&mut shm_rd(&[]), ENOENT, &no_such_key(others), WRITE_FIRST);
        tells(&mut shm_wr(&["--remove"]), ENOENT, &no_such_key(others), WRITE_FIRST);
    };
    tells_of("it has no segments");
    let _ = make(1, 100, 0o600);
    tells_of("it has 1 other segment");
    let _ = make(2, 100, 0o600);
    tells_of("it has 2 other segments");
}

fn enoent_of_shmget_counts_segments_marked_for_destruction() {
    let segment = Segment::create_new(DEFAULT_KEY, 100, 0o600).unwrap();
    let _attachment = segment.attach().unwrap();
    segment.remove().unwrap();
    let others = "it has 1 other segment, 1 marked for destruction, which shmget no longer finds";
    tells(&mut shm_rd(&[]), ENOENT, &no_such_key(others), WRITE_FIRST);
}

fn eexist_of_shmget_names_the_segment_with_the_key() {
    let segment = Segment::create_new(DEFAULT_KEY, 100, 0o640).unwrap();
    tells(
        &mut shm_wr(&["--create-new", "x"]),
        "shmget failed, errno: 17 msg: File exists",
        &format!(
            "key 0x0134b3d5 is in use by segment {} of user 0, mode 0640, 100 bytes",
            segment.id()
        ),
        "omit --create-new to write to it, or choose another --key",
    );
}

fn main() -> ExitCode {
    // A trial started this program as another user.
    if let Some(status) = permissions::attach_if_asked().or_else(rules::compare_if_asked) {
        return status;
    }
    let trials = trials![
        Trial::isolated, &[] =>
            enoent_of_shmget_names_the_namespace_and_counts_its_segments,
            enoent_of_shmget_counts_segments_marked_for_destruction,
            eexist_of_shmget_names_the_segment_with_the_key;
    ];
    let others = [
        frames::trials(),
        limits::trials(),
        objects::trials(),
        permissions::trials(),
        refusals::trials(),
        rules::trials(),
    ];
    let trials = trials.into_iter().chain(others.into_iter().flatten()).collect();
    Suite::new(trials).prepared_by(tools::environment).run()
}
