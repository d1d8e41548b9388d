//! Lists the System V segments of an IPC namespace, or everything that a container has of shared
//! memory, or logs the changes of the segments.
//!
//! As a library it gives its command line to the generator of completions and manual pages.
#![forbid(unsafe_code)]

pub mod args;
mod dev_shm;
mod facts;
pub mod list;
mod mqueues;
mod owner;
mod page;
mod resources;
pub mod watch;
