//! Messages on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use crate::process::untrusted::Untrusted;

/// Prints a line on standard error. Escapes it, because it may quote text from others. Ignores a
/// closed or full standard error.
pub fn message(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", Untrusted::from(line.to_string()));
}
