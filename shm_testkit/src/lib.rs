//! Code shared by the test programs of this workspace; other packages use it for tests only.
//!
//! A test program with requirements on the machine sets `harness = false`, and its `main` runs a
//! [`Suite`] of [`Trial`]s.
#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, reason = "a helper that cannot do its work fails the test")]

pub mod effort;
pub mod isolation;
pub mod need;
pub mod programs;
pub mod scratch;
pub mod suite;
pub mod tools;
pub mod trial;
pub mod wait;

use std::io::{self, Write};

pub use effort::Effort;
pub use libtest_mimic::Failed;
pub use need::Need;
pub use suite::Suite;
pub use trial::Trial;

/// The prefix of lines with counts.
const COUNT: &str = "count: ";

/// Prints the counts of a test as `count: NAME: NUMBER THINGS, NUMBER THINGS`. `.ci/soak` collects
/// these lines and adds up those with the same name.
pub fn count(name: &str, numbers: &[(usize, &str)]) {
    let numbers: Vec<_> = numbers.iter().map(|(number, of)| format!("{number} {of}")).collect();
    print_line(&format!("{COUNT}{name}: {}", numbers.join(", ")));
}

/// Writes a line in one call, because other programs write to the same standard error.
fn print_line(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
