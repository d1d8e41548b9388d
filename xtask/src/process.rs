//! Programs that are started, their time limits and signals, the record of what they make, and the text that they
//! print.

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
