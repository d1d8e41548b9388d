//! State of the start of a program, before the standard library changes it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the program was started with SIGPIPE ignored.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// Makes the program call [`before_main`](crate::program::before_main) before the standard library
/// starts. Each tool uses it once, next to `main`.
#[macro_export]
macro_rules! run_before_main {
    () => {
        // SAFETY: the section contains pointers to C functions. The C runtime calls each of them
        // once, before `main`, with arguments that a C function may ignore.
        #[used]
        #[unsafe(link_section = ".init_array")]
        static BEFORE_MAIN: extern "C" fn() = $crate::program::before_main;
    };
}

/// Opens the standard descriptors that are closed, and records whether SIGPIPE is ignored, for
/// [`set_signals`](crate::program::set_signals).
///
/// The standard library always ignores SIGPIPE. For a closed descriptor it opens `/dev/null`, where
/// output is lost without an error. If there is no `/dev/null`, it aborts the program.
pub extern "C" fn before_main() {
    open_standard_descriptors();
    // SAFETY: an ignored signal runs no handler. The call fails only for an invalid number.
    let action = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    SIGPIPE_WAS_IGNORED.store(action == libc::SIG_IGN, Ordering::Relaxed);
}

/// Gives SIGPIPE its default action, unless the program was started with SIGPIPE ignored.
pub(crate) fn restore_broken_pipe_signal() {
    if !SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: the default action runs no handler. The call fails only for an invalid number.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
}

/// Opens each of the descriptors 0, 1 and 2 that is closed. Otherwise, the next opened file would
/// become standard output, and messages would be written into it. Reads and writes still fail with
/// EBADF: standard input becomes the write end of a pipe, the others the read end. Needs no `/dev`.
fn open_standard_descriptors() {
    let mut descriptors = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array is live and has three elements. No events are requested, so poll only sets
    // `revents`.
    let polled = unsafe { libc::poll(descriptors.as_mut_ptr(), 3, 0) };
    for closed in descriptors.iter().filter(|fd| polled > 0 && fd.revents & libc::POLLNVAL != 0) {
        let mut ends = [0; 2];
        // SAFETY: the array is live and has two elements.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } == -1 {
            return;
        }
        // The read end gets the lowest closed descriptor: it is `closed.fd`.
        let [_, writer] = ends;
        if closed.fd == libc::STDIN_FILENO {
            // SAFETY: both descriptors are the ends of the new pipe, which nothing else uses.
            unsafe { libc::dup2(writer, closed.fd) };
        }
        // SAFETY: the write end was opened here. It is not `closed.fd`, which stays open.
        unsafe { libc::close(writer) };
    }
}
