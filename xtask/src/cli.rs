//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::bench::BenchArgs;
use crate::commands::clean::CleanArgs;
use crate::commands::experiment::ExperimentArgs;
use crate::commands::matrix::MatrixArgs;

mod usage;

/// Shows what container engines do to shared memory.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
#[command(
    after_help = "Exit status: 0 all as predicted; 1 something differs, is unproven, or (bench) \
                  misses its target; 2 the command failed, or another program used the key on this \
                  host; 130 interrupted (128 + the signal's number)."
)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the article's experiment and check each step
    Experiment(ExperimentArgs),
    /// Test every mechanism, sharing mode, event and observer against the model
    Matrix(MatrixArgs),
    /// Measure the tools and the experiment, and compare them with baselines
    Bench(BenchArgs),
    /// Build the static tools, with completions and manual pages, into dist/
    Dist,
    /// Remove what killed runs left, and nothing else
    Clean(CleanArgs),
}
