//! Messages on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::process::untrusted::Untrusted;

/// Says something on standard error, escaped: it may quote others. A closed or full standard error
/// changes nothing about the run.
pub fn message(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", Untrusted::from(line.to_string()));
}
