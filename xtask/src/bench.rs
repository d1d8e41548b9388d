//! `cargo xtask bench`: what the tools and the experiment cost, beside baselines.
//!
//! Each group is a module that measures and returns rows, plain values of [`measurement`]. [`report`] only
//! reads them.

use std::fs;
use std::thread;

use anyhow::Result;

use self::environment::Environment;
use self::measurement::Group;
use crate::cli::BenchArgs;
use crate::engine::kernel_release;
use crate::exit_code::Exit;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::report::output;

mod build;
mod data;
mod environment;
pub mod experiment;
pub mod interleave;
pub mod measurement;
mod messages;
mod process;
pub mod report;

/// Measures the wanted groups and writes the table. The exit status is 1 if a target is missed.
///
/// # Errors
///
/// Where something could not be measured, with the reason.
pub fn run(args: &BenchArgs, interrupt: &Interrupt) -> Result<Exit> {
    output::check(args.output.as_deref())?;
    let progress = Progress::start("building the tools");
    let environment = Environment::open(args.pairs.get(), interrupt)?;
    let (before, mut rows) = (load(), Vec::new());
    for group in &args.groups {
        progress.show(&format!("{group:?}"));
        rows.extend(match group {
            Group::Process => process::rows(&environment),
            Group::Data => data::rows(&environment),
            Group::Messages => messages::rows(&environment),
            Group::Experiment => experiment::rows(&environment),
            Group::Build => build::rows(&environment),
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

/// The load average of the last minute.
fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or_default().to_owned()
}
