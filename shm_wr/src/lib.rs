//! The writer: writes a text to shared memory.
//!
//! As a library it gives its command line to the generator of completions and manual pages.
#![forbid(unsafe_code)]

pub mod args;
mod framed;
mod input;
mod report;
pub mod run;
mod stream;
mod write;
