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
    after_help = "Exit status: 0 all as predicted; 1 something differs or is unproven; 2 the run \
                        failed or was disturbed; 130 interrupted (128 + the signal's number)."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry the article's experiment out, step by step, checked
    Experiment(ExperimentArgs),
    /// Ask every mechanism, sharing mode, event and observer, and hold the answers to the model
    Matrix(MatrixArgs),
    /// Measure what the tools and the experiment cost, beside what others take for the same
    Bench(BenchArgs),
    /// Build the static tools, with completions and manual pages, into dist/
    Dist,
    /// Remove what killed runs have left, and only that
    Clean(CleanArgs),
}
