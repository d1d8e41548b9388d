//! The crate's public interface, on keys of the test's own.
#![forbid(unsafe_code)]

mod frames;
mod turns;
