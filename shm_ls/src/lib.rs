//! Lists the shared memory of an IPC namespace, once or after each change.
//!
//! This is also a library, so that completions and manual pages come from the program's command
//! line.
#![forbid(unsafe_code)]

pub mod args;
pub mod list;
pub mod owner;
pub mod watch;
