//! The reader: reads a text from shared memory.
//!
//! As a library it gives its command line to the generator of completions and manual pages.
#![forbid(unsafe_code)]

pub mod args;
mod framed;
mod output;
mod read;
pub mod run;
mod wait;
