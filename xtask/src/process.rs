//! Starts programs, limits their time, handles signals, and records what runs make.

pub mod interrupt;
pub mod invocation;
pub mod labels;
pub mod ledger;
pub mod message;
pub mod name;
pub mod parallel;
pub(crate) mod poll;
pub mod proc_stat;
pub mod untrusted;
pub mod volume;
