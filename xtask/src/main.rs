//! Runs the experiments.
fn main() {}
