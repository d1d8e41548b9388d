//! Signals that a program waits for, and signals that would end it without a message.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use std::time::Duration;

use super::check;
use crate::Errno;

/// Ignores SIGXFSZ: a write past `RLIMIT_FSIZE` fails with EFBIG and does not end this process.
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: an ignored signal runs no handler. The call fails only for an invalid number.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is live, and sigemptyset initializes it.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: the set is initialized. The call rejects an invalid signal number.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) };
    }
    // SAFETY: sigemptyset has initialized the set.
    unsafe { set.assume_init() }
}

/// Blocks signals for [`wait_for_signal`], so they do not end this process. `pthread_sigmask(3)`.
pub(crate) fn block_signals(signals: &[i32]) {
    let set = set_of(signals);
    // SAFETY: the set is live, and null requests no old set. SIG_BLOCK is valid, so it cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
}

/// Waits for one of the signals, which must be blocked. Fails with `EAGAIN` if none comes within
/// `limit`. `sigtimedwait(2)`.
pub(crate) fn wait_for_signal(signals: &[i32], limit: Duration) -> Result<i32, Errno> {
    let set = set_of(signals);
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: the set and the time are live. Null means that the signal's details are not returned.
    check(unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const limit) })
}

/// The output and the exit status of a process that must end immediately.
pub(crate) struct FinalOutput {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: u8,
}

/// The output for the handler. The value is never freed.
static FINAL_OUTPUT: AtomicPtr<FinalOutput> = AtomicPtr::new(ptr::null_mut());
static ENDING: AtomicBool = AtomicBool::new(false);

/// Makes this process end with this output when the kernel raises SIGBUS for an access to memory.
/// SIGBUS from another process keeps its default action.
pub(crate) fn end_on_bus_error(output: FinalOutput) {
    FINAL_OUTPUT.store(Box::into_raw(Box::new(output)), Ordering::Release);
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
    // SAFETY: zero is a valid value for a structure of integers, a set and an optional function.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the action is live. The handler has the type that SA_SIGINFO requires, and calls only
    // functions that a handler may call. The call fails only for an invalid number.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
}

/// Handles SIGBUS. It can interrupt any load or store, so it does only what `signal-safety(7)`
/// allows: it takes no lock, allocates no memory, and does not return to the access.
extern "C" fn on_bus_error(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO, the kernel passes a structure that is live while the handler runs.
    let code = unsafe { (*info).si_code };
    // SAFETY: the pointer is null, or of Box::into_raw and never freed. Release pairs with Acquire.
    let output = unsafe { FINAL_OUTPUT.load(Ordering::Acquire).as_ref() };
    // A signal from a process has a code of at most 0.
    let Some(output) = output.filter(|_| code > 0) else {
        // SAFETY: a handler may make both calls. The signal is delivered when the handler returns.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: as above.
        unsafe { libc::raise(signal) };
        return;
    };
    if ENDING.swap(true, Ordering::AcqRel) {
        // Another thread runs this handler and is about to end the process.
        loop {
            // SAFETY: a handler may call pause, which accesses no memory.
            unsafe { libc::pause() };
        }
    }
    for (target, text) in
        [(libc::STDERR_FILENO, &output.stderr), (libc::STDOUT_FILENO, &output.stdout)]
    {
        // SAFETY: a handler may call write, and the text is live. A failure cannot be reported.
        unsafe { libc::write(target, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: a handler may call _exit.
    unsafe { libc::_exit(output.status.into()) };
}
