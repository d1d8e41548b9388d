//! The crate as its users have it: System V segments, objects, text, on names of the test's own.
#![forbid(unsafe_code)]

mod attachments;
mod ipc_objects;
mod objects;
mod segments;
mod texts;
