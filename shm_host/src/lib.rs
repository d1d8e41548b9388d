//! The facts of a live host about shared memory: which IPC namespaces there are, who holds them, which
//! containers and processes share them, and what they have.
//!
//! [`Snapshot::take`] reads them. It changes nothing on the host. The facts are plain data, which can be
//! saved as JSON and read on another machine.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod contents;
pub mod device;
pub mod engines;
mod enter;
pub mod facts;
pub mod maps;
pub mod objects;
pub mod origin;
mod process_dir;
pub mod reading;
mod scan;
pub mod snapshot;
pub mod status;
pub mod view;

pub use facts::Snapshot;
pub use snapshot::Names;
