//! The write lock of a frame: who holds it, and what is said if that is not known.

use assert_cmd::Command;
use predicates::str::contains;
use shm_cli::DEFAULT_KEY;
use shm_core::SemaphoreSet;
use shm_frame::Writer;
use shm_testkit::need::COMPILER;
use shm_testkit::{Trial, tools, trials};

use crate::refusals::Filter;
use crate::{shm_wr, tells};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            a_lock_holder_of_another_pid_namespace_is_said_to_be_there,
            a_lock_holder_that_has_ended_is_said_to_have_ended;
        Trial::isolated, &[COMPILER] =>
            a_lock_holder_that_the_kernel_does_not_name_is_not_guessed;
    ]
}

const TIMED_OUT: &str = "timed out after 5s waiting for the write lock";
const WAIT: &str =
    "try again, let that process finish, or end it: the kernel then releases the lock";

fn writer() -> Writer {
    let limit = std::time::Duration::from_secs(1);
    Writer::open_or_create(DEFAULT_KEY, 1024, 0o600, limit).unwrap().0
}

fn a_lock_holder_of_another_pid_namespace_is_said_to_be_there() {
    let _writer = writer();
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(["--pid", "--fork"]).arg(tools::path("shm_wr")).args(["--framed", "x"]);
    let cause = "a process of another pid namespace holds the write lock";
    tells(&mut elsewhere, TIMED_OUT, cause, WAIT);
}

fn a_lock_holder_that_has_ended_is_said_to_have_ended() {
    writer().write(b"x").unwrap();
    // Another program sets the semaphore without an undo.
    shm_wr(&["--object", "sem", "\u{1}"]).assert().code(0);
    let pid = SemaphoreSet::find(DEFAULT_KEY, 0).unwrap().last_pid(0).unwrap().unwrap();
    shm_wr(&["--framed", "y"]).assert().code(255).stderr(contains(format!(
        "\ncause: process {pid} was the last to change the semaphore of the write lock, and has ended; "
    )));
    // The hint.
    shm_wr(&["--object", "sem", "--remove"]).assert().code(0);
    shm_wr(&["--framed", "y"]).assert().code(0);
}

fn a_lock_holder_that_the_kernel_does_not_name_is_not_guessed() {
    let _writer = writer();
    let filter = Filter::compile();
    let cause = "a process holds the write lock; which one is not known (semctl: Operation not \
                 permitted)";
    let mut busy = filter.run(1, &["semctl"], "shm_wr", &["--framed", "x"]);
    tells(&mut busy, TIMED_OUT, cause, WAIT);
}
