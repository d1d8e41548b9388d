//! Signals: those that are waited for, and those that end a program without a word.

use std::mem::MaybeUninit;
use std::ptr;

use std::time::Duration;

use super::check;
use crate::Errno;

/// Has a file that would become larger than `RLIMIT_FSIZE` allows be EFBIG, and not the end of this
/// process by SIGXFSZ.
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: to ignore a signal runs no code of ours. It fails only for what is no signal.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset fills the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: the set was filled; a number that is no signal is refused.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) };
    }
    // SAFETY: sigemptyset has filled it.
    unsafe { set.assume_init() }
}

/// Has `signals` wait for [`wait_for_signal`] instead of ending this process. `pthread_sigmask(3)`.
pub(crate) fn block_signals(signals: &[i32]) {
    let set = set_of(signals);
    // SAFETY: the set is live, and the old one is not asked for. It fails only for an unknown first
    // argument.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
}

/// Waits for one of the signals, which are blocked; `EAGAIN` when there was none in this time.
/// `sigtimedwait(2)`.
pub(crate) fn wait_for_signal(signals: &[i32], limit: Duration) -> Result<i32, Errno> {
    let set = set_of(signals);
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: the set and the time are live; what is known of the signal is not asked for.
    check(unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const limit) })
}
