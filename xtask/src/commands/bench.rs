//! `cargo xtask bench`: what the tools and the experiment cost, beside what others take for the same.
//!
//! Each module of a group measures and returns rows, plain values of [`measurement`]; [`report`] only
//! reads them. Both sides of a comparison are measured in turn.

use std::num::NonZero;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::commands::bench::measurement::{Group, Row, Table};
use crate::commands::bench::report::Form;
use crate::commands::bench::workplace::Workplace;
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::report::output;
use crate::report::progress::Progress;

mod build;
mod data;
pub mod experiment;
mod machine;
pub mod measurement;
mod messages;
mod pairs;
mod peers;
mod process;
pub mod report;
mod workplace;

/// The command line of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure [default: process data messages experiment]
    #[arg(value_enum, value_name = "GROUP")]
    pub groups: Vec<Group>,

    /// How often to measure both sides, in turn; of what takes seconds, less often
    #[arg(long, value_name = "NUMBER", default_value = "15")]
    pub pairs: NonZero<usize>,

    /// Form of the table
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub format: Form,

    /// Write the table to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl BenchArgs {
    /// The groups that are wanted.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        if self.groups.is_empty() { &Group::USUAL } else { &self.groups }
    }
}

/// Measures the groups that are wanted and writes the table.
///
/// # Errors
///
/// Where something could not be measured, with the reason.
pub fn run(args: &BenchArgs, interrupt: &Interrupt) -> Result<Exit> {
    output::check(args.output.as_deref())?;
    let progress = Progress::start("building the tools");
    let place = Workplace::open(args.pairs.get(), interrupt)?;
    let mut machine = machine::this();
    let mut rows = Vec::new();
    for group in args.groups() {
        progress.say(group.title());
        rows.extend(measure(*group, &place)?);
    }
    machine.load_after = machine::load();
    progress.end();
    let table = Table { machine, rows };
    output::write(args.output.as_deref(), |out| report::write(&table, args.format, out))?;
    Ok(if table.rows.iter().any(Row::is_missed) { Exit::Differs } else { Exit::AsPredicted })
}

fn measure(group: Group, place: &Workplace<'_>) -> Result<Vec<Row>> {
    match group {
        Group::Process => process::rows(place),
        Group::Data => data::rows(place),
        Group::Messages => messages::rows(place),
        Group::Experiment => experiment::rows(place),
        Group::Build => build::rows(place),
    }
}
