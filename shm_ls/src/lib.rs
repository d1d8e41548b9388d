//! Shows what shared memory an IPC namespace holds, once or as it changes.
//!
//! A library beside the program, so that completions and manual pages are made from the same
//! command line that the program has.
#![forbid(unsafe_code)]

pub mod args;
pub mod list;
pub mod owner;
pub mod watch;
