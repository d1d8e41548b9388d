//! The writer of the pair: puts a text into shared memory.
//!
//! A library beside the program, so that completions and manual pages are made from the same
//! command line that the program has.
#![forbid(unsafe_code)]

pub mod args;
mod framed;
mod input;
mod report;
pub mod run;
mod stream;
mod write;
