//! What `shmget(2)`, `shmat(2)`, `shmdt(2)` and `shmctl(2)` promise to a user of this crate, case by
//! case, each in an IPC namespace of its own. Which cases there are was learnt from the Linux Test
//! Project's and gVisor's tests of the four calls.
#![forbid(unsafe_code)]

mod attaching;
mod control;
#[path = "../isolation/mod.rs"]
mod isolation;
mod limits;
mod lookup;
mod permissions;
mod processes;
mod removal;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use shm_core::{Errno, Error, Key, Segment};

fn key(raw: i32) -> Key {
    Key::new(raw).unwrap()
}

fn make(raw: i32, size: usize, mode: u32) -> Segment {
    Segment::create_new(key(raw), size, mode).unwrap()
}

/// The errno of what must have failed.
#[track_caller]
fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> Errno {
    result.unwrap_err().errno().unwrap()
}

fn attached(segment: Segment) -> u64 {
    segment.stat().unwrap().nattch
}

/// Waits for what other processes do.
#[track_caller]
fn soon(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !happened() {
        assert!(Instant::now() < deadline, "not yet: {what}");
        thread::sleep(Duration::from_millis(5));
    }
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
    isolation::main(themes.into_iter().flatten().collect(), Vec::new)
}
