//! A program's entry that leaves out what the tools do not need of the standard library's.
//!
//! Before `main`, the standard library looks up the stack's bounds (with glibc: by reading and
//! scanning `/proc/self/maps`) for a handler that explains stack overflows. For a tool that lives
//! for a millisecond that is over a quarter of all instructions and half of the system calls.
//! [`entry_point!`](crate::entry_point) leaves this out, but still occupies standard descriptors that are
//! closed. It ignores SIGXFSZ, so a write past `RLIMIT_FSIZE` is an error. It does not change SIGPIPE: by
//! default a closed pipe ends the program without a message, as it does every C program.
#![expect(unsafe_code, reason = "the C entry point; each block argues for itself")]

pub mod arena;

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use crate::{Descriptor, sys, text};

/// The exit status for wrong usage.
const WRONG_USAGE: u8 = 2;

/// Makes `$run`, a `fn(Vec<OsString>) -> u8` from arguments to exit status, the program's entry;
/// the crate says `#![no_main]`. Without debug assertions its allocator is an
/// [`Arena`](crate::entry::arena::Arena).
#[macro_export]
macro_rules! entry_point {
    ($run:path) => {
        // Not where memcheck, which knows the system's allocator, looks for what is out of bounds.
        #[cfg(not(debug_assertions))]
        #[global_allocator]
        static ARENA: $crate::entry::arena::Arena = $crate::entry::arena::Arena::new();

        // SAFETY: a program has one `main`; with #![no_main] nothing else defines it, and its
        // type is the one that the C runtime calls.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            argc: ::std::ffi::c_int,
            argv: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: the C runtime calls main with its argument vector.
            unsafe { $crate::entry::start(argc, argv, $run) }
        }
    };
}

/// Prints the message of a command line parser, and returns the exit status. A message that was
/// `asked_for`, as by `--help`, goes to standard output: 0, or `failed` where the output fails. An error
/// goes to standard error: 2. Characters of a quoted argument that could drive a terminal are escaped.
#[must_use]
pub fn print_parser_message(message: &str, asked_for: bool, failed: u8) -> u8 {
    let message = text::escape(message.as_bytes());
    if !asked_for {
        // Without standard error there is no way to report this.
        let _ = io::stderr().write_all(message.as_bytes());
        return WRONG_USAGE;
    }
    match Descriptor(io::stdout().as_fd()).write_all(message.as_bytes()) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "standard output failed: {error}");
            failed
        }
    }
}

/// What [`entry_point!`](crate::entry_point) expands to.
///
/// # Safety
///
/// `vector` points to `count` pointers to NUL-terminated strings, as C's `main` is given them.
pub unsafe fn start(
    count: c_int,
    vector: *const *const c_char,
    run: fn(Vec<OsString>) -> u8,
) -> c_int {
    sys::open_standard_descriptors();
    sys::ignore_file_size_signal();
    let argument = |index| {
        // SAFETY: the caller vouches for `count` pointers from `vector` on, and index < count.
        let pointer = unsafe { *vector.wrapping_add(index) };
        // SAFETY: the caller vouches that each is a NUL-terminated string; it lives as long as
        // the program and nothing changes it.
        let argument = unsafe { CStr::from_ptr(pointer) };
        OsStr::from_bytes(argument.to_bytes()).to_owned()
    };
    run((0..usize::try_from(count).unwrap_or(0)).map(argument).collect()).into()
}
