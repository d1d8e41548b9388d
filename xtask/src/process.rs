//! Starts programs, limits their time, handles signals, and records what runs make.

use std::fmt::Display;
use std::io::{self, Write};

use crate::process::untrusted::Untrusted;

pub mod interrupt;
pub mod invocation;
pub mod labels;
pub mod ledger;
pub mod name;
pub mod parallel;
pub(crate) mod poll;
pub mod proc_stat;
pub mod untrusted;
pub mod volume;

/// Prints a line on standard error. Escapes it, because it may quote text from others. Ignores a
/// closed or full standard error.
pub fn message(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", Untrusted::from(line.to_string()));
}
