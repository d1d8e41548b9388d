//! What the test programs of this workspace share. The other packages depend on it for their tests alone.
//!
//! A test program whose tests need something of the machine has `harness = false`, and in `main` a [`Suite`] of
//! [`Trial`]s.
#![forbid(unsafe_code)]

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

/// How the lines begin that tell what was counted.
const COUNT: &str = "count: ";

/// Prints what a test has counted, as `count: NAME: NUMBER THINGS, NUMBER THINGS`. `.ci/soak` collects these lines
/// and adds up those with the same name.
pub fn count(name: &str, numbers: &[(usize, &str)]) {
    let numbers: Vec<_> = numbers.iter().map(|(number, of)| format!("{number} {of}")).collect();
    print_line(&format!("{COUNT}{name}: {}", numbers.join(", ")));
}

/// Prints the counts that a program has printed.
fn repeat_counts(output: &str) {
    output.lines().filter(|line| line.starts_with(COUNT)).for_each(print_line);
}

/// Prints a line in one piece, for other programs print to the same standard error.
fn print_line(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
