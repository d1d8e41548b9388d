//! Lists the System V segments of an IPC namespace, or logs their changes.
//!
//! This is also a library, so that completions and manual pages come from the program's command
//! line.
#![forbid(unsafe_code)]

pub mod args;
pub mod list;
pub mod owner;
pub mod watch;
