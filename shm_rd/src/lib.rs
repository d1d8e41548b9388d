//! The reader: reads a text from shared memory.
//!
//! This is also a library, so that completions and manual pages come from the program's command
//! line.
#![forbid(unsafe_code)]

pub mod args;
mod framed;
mod output;
mod read;
pub mod run;
mod wait;
