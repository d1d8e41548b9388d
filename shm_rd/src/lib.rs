//! The reader of the pair: gets a text out of shared memory.
//!
//! A library beside the program, so that completions and manual pages are made from the same
//! command line that the program has.
#![forbid(unsafe_code)]

pub mod args;
mod framed;
mod output;
mod read;
pub mod run;
mod wait;
