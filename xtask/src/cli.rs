//! The command line, and messages for a wrong one. They quote arguments, which can hold control
//! characters.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};
use shm_core::text::escape;

use crate::commands::bench::{self, BenchArgs};
use crate::commands::clean::{self, CleanArgs};
use crate::commands::experiment::{self, ExperimentArgs};
use crate::commands::matrix::{self, MatrixArgs};
use crate::commands::{dist, nodes};
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::process::untrusted::keep_styles;

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

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Fails if the command cannot be carried out, is interrupted, or may leave something behind.
    pub fn run(&self, interrupt: &Interrupt) -> Result<Exit> {
        match self {
            Self::Experiment(args) if args.is_on_nodes() => nodes::run(args, interrupt),
            Self::Experiment(args) => experiment::run(args, interrupt),
            Self::Matrix(args) => matrix::run(args, interrupt),
            Self::Clean(args) => clean::run(args, interrupt),
            Self::Bench(args) => bench::run(args, interrupt),
            Self::Dist => dist::run(interrupt),
        }
    }
}

impl Cli {
    /// Parses the command line of this process.
    ///
    /// # Errors
    ///
    /// Prints the help or the error message, and returns the exit status.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let status = u8::try_from(error.exit_code()).unwrap_or(2);
            // A closed standard output or standard error does not change the exit status.
            let _ = if error.use_stderr() { print_error(error) } else { error.print() };
            ExitCode::from(status)
        })
    }
}

fn print_error(mut error: clap::Error) -> io::Result<()> {
    // Escape the arguments before clap adds its styles to them.
    let quoted: Vec<_> =
        error.context().map(|(kind, value)| (kind, escaped(kind, value))).collect();
    for (kind, value) in quoted {
        error.insert(kind, value);
    }
    let rendered = error.render().ansi().to_string();
    let next_step = "next step: choose from the commands of `cargo xtask help`, or from the options \
                     of `cargo xtask help COMMAND`";
    writeln!(anstream::stderr(), "{}{next_step}", keep_styles(rendered.as_bytes()))
}

fn escaped(kind: ContextKind, value: &ContextValue) -> ContextValue {
    let text = |text: &String| escape(text.as_bytes());
    // Suggestions quote arguments too. Drop clap's styles: an argument could contain the same ones.
    let styled = |text: &StyledStr| StyledStr::from(escape(text.to_string().as_bytes()));
    match value {
        _ if kind == ContextKind::Usage => value.clone(),
        ContextValue::String(it) => ContextValue::String(text(it)),
        ContextValue::Strings(all) => ContextValue::Strings(all.iter().map(text).collect()),
        ContextValue::StyledStr(it) => ContextValue::StyledStr(styled(it)),
        ContextValue::StyledStrs(all) => ContextValue::StyledStrs(all.iter().map(styled).collect()),
        other => other.clone(),
    }
}
