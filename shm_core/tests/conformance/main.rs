//! The guarantees of `shmget(2)`, `shmat(2)`, `shmdt(2)` and `shmctl(2)` for users of this crate, each
//! case in a separate IPC namespace. The list of cases follows the tests of the four calls in the Linux
//! Test Project and in gVisor.
#![forbid(unsafe_code)]

mod attaching;
mod control;
mod limits;
mod lookup;
mod permissions;
mod processes;
mod removal;

use std::process::ExitCode;

use shm_core::{Errno, Error, Key, Segment};
use shm_testkit::Suite;

fn key(raw: i32) -> Key {
    Key::new(raw).unwrap()
}

/// The errno of a call that must have failed.
#[track_caller]
fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    result.unwrap_err().errno().unwrap()
}

fn attached(segment: Segment) -> u64 {
    segment.stat().unwrap().nattch
}

fn main() -> ExitCode {
    // A trial started this program as another user.
    if permissions::ran_as_child() {
        return ExitCode::SUCCESS;
    }
    let themes = [
        lookup::trials(),
        attaching::trials(),
        control::trials(),
        removal::trials(),
        permissions::trials(),
        processes::trials(),
        limits::trials(),
    ];
    Suite::new(themes.into_iter().flatten().collect()).run()
}
