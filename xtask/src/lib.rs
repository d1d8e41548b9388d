//! Runs scripts about shared memory on container engines and holds them to a model of the kernel.
//!
//! The one data flow: a [`script`] is data; [`plan`] runs it on the [`engine::model`], which
//! predicts what each step shows; [`run`] carries it out on a real [`engine`]; [`verdict`]
//! compares the two; [`report`] only reads.
#![forbid(unsafe_code)]

pub mod bench;
pub mod clean;
pub mod cli;
pub mod dist;
pub mod engine;
pub mod exit_code;
pub mod experiment;
pub mod fleet;
pub mod host;
pub mod host_segment;
pub mod interrupt;
pub mod invocation;
pub mod labels;
pub mod ledger;
pub mod matrix;
pub mod name;
pub mod observation;
mod parallel;
pub mod plan;
mod proc_stat;
pub mod progress;
pub mod quirk;
pub mod report;
pub mod run;
pub mod script;
pub mod untrusted;
pub mod verdict;
pub mod volume;
