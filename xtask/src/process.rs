//! Starts programs with time limits, handles signals, records what runs make, and holds text from
//! others.

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
