//! What a program was started with and the standard library replaces before `main`.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the program was started with SIGPIPE ignored.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Makes the program call [`before_main`](crate::program::before_main) before the standard library's
/// start. Each tool has it once, beside `main`.
#[macro_export]
macro_rules! run_before_main {
    () => {
        // SAFETY: the C runtime calls each pointer in this section once, before `main`, with arguments
        // that a C function may ignore. A pointer to such a function is what the section holds.
        #[used]
        #[unsafe(link_section = ".init_array")]
        static BEFORE_MAIN: extern "C" fn() = $crate::program::before_main;
    };
}

/// Occupies the standard descriptors that are closed, and records whether SIGPIPE is ignored, for
/// [`set_signals`](crate::program::set_signals). Afterwards the standard library finds no closed descriptor:
/// it would open `/dev/null` in its place, where output is lost without an error, and abort the program
/// where there is no `/dev/null`. It always ignores SIGPIPE.
pub extern "C" fn before_main() {
    occupy_standard_descriptors();
    // SAFETY: ignoring a signal runs no code of ours. The call fails only for an invalid number.
    let action = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    SIGPIPE_WAS_IGNORED.store(action == libc::SIG_IGN, Ordering::Relaxed);
}

/// Gives SIGPIPE its default action, unless the program was started with SIGPIPE ignored.
pub(crate) fn restore_broken_pipe_signal() {
    if !SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: the default action runs no code of ours. The call fails only for an invalid number.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}

/// Occupies each of the descriptors 0, 1 and 2 that is closed: otherwise the next file that is opened
/// becomes standard output, and messages are written into it. Reads and writes still fail with EBADF, for
/// standard input becomes an end of a pipe that is only written, the others one that is only read. This
/// needs no `/dev`.
fn occupy_standard_descriptors() {
    let mut descriptors = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array is live and has three elements; no events are asked for, so poll only
    // fills in `revents`.
    let polled = unsafe { libc::poll(descriptors.as_mut_ptr(), 3, 0) };
    for closed in descriptors.iter().filter(|fd| polled > 0 && fd.revents & libc::POLLNVAL != 0) {
        let mut ends = [0; 2];
        // SAFETY: the array is live and has two elements.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } == -1 {
            return;
        }
        // The end that is read is the lowest closed descriptor, so it has the place already.
        let [_, writer] = ends;
        if closed.fd == libc::STDIN_FILENO {
            // SAFETY: both are ends of the pipe, which nothing else knows.
            unsafe { libc::dup2(writer, closed.fd) };
        }
        // SAFETY: it was opened here, and is above the place, which stays open for good.
        unsafe { libc::close(writer) };
    }
}
