//! `cargo xtask bench`: what the tools and the experiment cost, beside what others take for the same.
//!
//! Each module of a group measures and returns rows, plain values of [`measurement`]; [`report`] only
//! reads them. Both sides of a comparison are measured in turn.

use anyhow::Result;

use self::measurement::{Group, Row, Table};
use self::workplace::Workplace;
use crate::cli::BenchArgs;
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::output;

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
