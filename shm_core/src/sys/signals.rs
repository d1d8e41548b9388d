//! Signals that a program waits for, and signals that would end it without a message.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use std::time::Duration;

use super::check;
use crate::Errno;

/// Ignores SIGXFSZ, so that a write past `RLIMIT_FSIZE` fails with EFBIG and does not end this process.
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: ignoring a signal runs no code of ours. The call fails only for an invalid number.
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
    // SAFETY: the set and the time are live; no details of the signal are asked for.
    check(unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const limit) })
}

/// The output and the exit status of a process that must end at once.
pub(crate) struct LastWords {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: u8,
}

/// For the handler. The value is never freed.
static LAST_WORDS: AtomicPtr<LastWords> = AtomicPtr::new(ptr::null_mut());
static SPOKEN: AtomicBool = AtomicBool::new(false);

/// Makes this process end with these words when the kernel raises SIGBUS for an access to memory. SIGBUS
/// from another process keeps its default action.
pub(crate) fn end_on_bus_error(words: LastWords) {
    LAST_WORDS.store(Box::into_raw(Box::new(words)), Ordering::Release);
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
    // SAFETY: a structure of integers and a set, for which zero is a value.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the action is live, its handler has the type that SA_SIGINFO asks for, and calls only
    // functions that a handler may call. The call fails only for an invalid number.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
}

/// Interrupts a load or a store anywhere in the program, so it does only what `signal-safety(7)` allows:
/// it takes no lock, allocates nothing, and does not return to the access.
extern "C" fn on_bus_error(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler that was set with SA_SIGINFO a structure that lives as long.
    let code = unsafe { (*info).si_code };
    // SAFETY: null, or of Box::into_raw and never freed; the store released what it points to.
    let words = unsafe { LAST_WORDS.load(Ordering::Acquire).as_ref() };
    // A signal that a process sent has a code of at most 0.
    let Some(words) = words.filter(|_| code > 0) else {
        // SAFETY: both calls are allowed in a handler. The signal is delivered when it returns.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: as above.
        unsafe { libc::raise(signal) };
        return;
    };
    if SPOKEN.swap(true, Ordering::AcqRel) {
        // Another thread runs this handler and is about to end the process.
        loop {
            // SAFETY: pause is allowed in a handler and touches no memory.
            unsafe { libc::pause() };
        }
    }
    for (target, text) in
        [(libc::STDERR_FILENO, &words.stderr), (libc::STDOUT_FILENO, &words.stdout)]
    {
        // SAFETY: write is allowed in a handler, and the text is live. A failure cannot be reported.
        unsafe { libc::write(target, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: _exit is allowed in a handler.
    unsafe { libc::_exit(words.status.into()) };
}
