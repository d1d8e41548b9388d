//! `cargo xtask bench`: measures the tools and the experiment, and compares them with baselines.
//!
//! Each group is a module that returns rows, which are plain data of [`measurement`]. [`report`]
//! prints them.

use std::num::NonZero;
use std::path::PathBuf;
use std::{fs, thread};

use anyhow::Result;
use clap::Args;

use crate::commands::bench::environment::BenchEnvironment;
use crate::commands::bench::measurement::BenchGroup;
use crate::commands::bench::report::BenchForm;
use crate::engine::kernel_release;
use crate::judge::exit_code::Exit;
use crate::process::interrupt::Interrupt;
use crate::report::output;
use crate::report::progress::ProgressLine;

mod build;
mod data;
mod environment;
pub mod experiment;
pub mod interleave;
pub mod measurement;
mod messages;
mod process;
pub mod report;

/// The command line of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Groups to measure
    #[arg(value_enum, value_name = "GROUP")]
    #[arg(default_values_t = [BenchGroup::Process, BenchGroup::Data, BenchGroup::Messages, BenchGroup::Experiment])]
    pub groups: Vec<BenchGroup>,

    /// Number of measurements of each side, in alternation, after a warm-up; slow rows have fewer.
    /// One pair has no warm-up
    #[arg(long, value_name = "NUMBER", default_value = "15")]
    pub pairs: NonZero<usize>,

    /// Form of the table
    #[arg(long, value_enum, default_value_t = BenchForm::Text)]
    pub format: BenchForm,

    /// Write the table to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Measures the selected groups and writes the table. The exit status is 1 if a target is missed.
pub(crate) fn run(args: &BenchArgs, interrupt: &Interrupt) -> Result<Exit> {
    output::check(args.output.as_deref())?;
    let progress = ProgressLine::start("building the tools");
    let environment = BenchEnvironment::open(args.pairs.get(), interrupt)?;
    let (before, mut rows) = (load(), Vec::new());
    for group in &args.groups {
        progress.show(&format!("{group:?}"));
        rows.extend(match group {
            BenchGroup::Process => process::rows(&environment),
            BenchGroup::Data => data::rows(&environment),
            BenchGroup::Messages => messages::rows(&environment),
            BenchGroup::Experiment => experiment::rows(&environment),
            BenchGroup::Build => build::rows(&environment),
        }?);
    }
    progress.end();
    let machine = format!("{}; load {before} before and {} after", machine(), load());
    output::write(args.output.as_deref(), |out| report::write(&machine, &rows, args.format, out))?;
    let is_missed = rows.iter().any(|row| row.status.met == Some(false));
    Ok(if is_missed { Exit::Differs } else { Exit::AsPredicted })
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = cpu.map_or("unknown processor", |(_, name)| name);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!("{cpu}, {cores} cores, Linux {}", kernel_release())
}

/// Returns the load average of the last minute.
fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or_default().to_owned()
}
