//! The public interface of the crate: segments, objects and texts, with scratch names.
#![forbid(unsafe_code)]

mod attachments;
mod ipc_objects;
mod objects;
mod segments;
mod semaphores;
mod texts;
