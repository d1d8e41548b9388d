//! The commands of `cargo xtask`: options in, exit status out.

pub mod bench;
pub mod clean;
pub mod dist;
pub mod experiment;
pub mod matrix;
pub mod nodes;
pub mod options;
pub mod session;
