//! Executes a plan on an engine, and compares each observation with its prediction.

pub mod evaluate;
pub mod execution;
pub mod exit_code;
pub mod host_segment;
pub mod quirk;
pub mod results;
pub mod run;
pub mod verdict;
