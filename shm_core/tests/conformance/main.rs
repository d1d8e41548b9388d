//! What `shmget(2)`, `shmat(2)`, `shmdt(2)` and `shmctl(2)` promise to a user of this crate, case by
//! case, each in an IPC namespace of its own. Which cases there are was learnt from the Linux Test
//! Project's and gVisor's tests of the four calls.
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

/// The errno of what must have failed.
#[track_caller]
fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    result.unwrap_err().errno().unwrap()
}

fn attached(segment: Segment) -> u64 {
    segment.stat().unwrap().nattch
}

fn main() -> ExitCode {
    // Sent here by a trial, as another user.
    if permissions::act_if_sent() {
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
