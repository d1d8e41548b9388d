//! What a program does with its signals.

use crate::sys::{self, LastWords};

pub use crate::sys::before_main;

/// Sets the signals of a tool; `main` calls it first. SIGPIPE gets its default action, which the standard
/// library replaces: a closed pipe ends the program without a message, as it does every C program. It stays
/// ignored where [`before_main`] found it so. SIGXFSZ is ignored, so a write past `RLIMIT_FSIZE` is an error.
pub fn set_signals() {
    sys::restore_broken_pipe_signal();
    sys::ignore_file_size_signal();
}

/// Makes this process write `stderr` and `stdout` and exit with `status` when it accesses a page of a
/// segment that the kernel cannot provide (SIGBUS). Each call leaks its memory: call it once, at the
/// start of a program.
pub fn end_on_missing_page(stdout: Vec<u8>, stderr: Vec<u8>, status: u8) {
    sys::end_on_bus_error(LastWords { stdout, stderr, status });
}
