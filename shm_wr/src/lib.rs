//! The writer: writes a text to shared memory.
//!
//! This is also a library, so that completions and manual pages come from the program's command
//! line.
#![forbid(unsafe_code)]

pub mod args;
mod framed;
mod input;
mod report;
pub mod run;
mod stream;
mod write;
