//! Runs scripts about shared memory on container engines, and compares the observations with a
//! model of the kernel.
//!
//! A [`script`] is plain data. The [`model`] predicts what each step shows. An [`engine`] executes
//! the steps. [`judge`] compares the two, and [`report`] prints the result. [`commands`] connect
//! these for each command of `cargo xtask`. [`process`] starts programs and records what they make.
//! Each module in this list uses only modules before it: `process`, `script`, `engine`, `model`,
//! `judge`, `report`, `commands`, [`cli`].
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod engine;
pub mod judge;
pub mod model;
pub mod process;
pub mod report;
pub mod script;
