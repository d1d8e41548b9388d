//! The commands of `cargo xtask`. Each takes options and returns an exit status.

pub mod bench;
pub mod clean;
pub mod dist;
pub mod experiment;
pub mod failure;
pub mod matrix;
pub mod nodes;
pub mod options;
pub mod session;
