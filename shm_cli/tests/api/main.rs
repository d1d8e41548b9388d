//! The crate's public interface, on names of the test's own.
#![forbid(unsafe_code)]

mod diagnoses;
mod transfers;
