//! The signal settings of a program.

use crate::sys::{self, FinalOutput};

pub use crate::sys::before_main;

/// Sets the signal actions of a tool; `main` calls it first. SIGPIPE gets its default action, which
/// the standard library has replaced: a closed pipe ends the program without a message, like a C
/// program. If [`before_main`] found SIGPIPE ignored, it stays ignored. SIGXFSZ is ignored, so a
/// write past `RLIMIT_FSIZE` is an error.
pub fn set_signals() {
    sys::restore_broken_pipe_signal();
    sys::ignore_file_size_signal();
}

/// Sets a handler for SIGBUS, which the kernel raises for an access to a page that it cannot
/// provide. The handler writes `stderr` and `stdout`, and exits with `status`. Each call leaks
/// memory: call it once, at the start of a program.
pub fn end_on_missing_page(stdout: Vec<u8>, stderr: Vec<u8>, status: u8) {
    sys::end_on_bus_error(FinalOutput { stdout, stderr, status });
}
