//! Lists the System V segments of an IPC namespace, or logs their changes.
//!
//! As a library it gives its command line to the generator of completions and manual pages.
#![forbid(unsafe_code)]

pub mod args;
pub mod list;
mod owner;
pub mod watch;
