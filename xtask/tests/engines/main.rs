//! The experiment on real engines, and on engines that lie, hang or refuse.
//!
//! The trials of a missing engine are ignored with the reason, or fail if `SHM_REQUIRE_ENGINES`
//! names it. docs/CONTRIBUTING.md lists the variables that select trials.
#![forbid(unsafe_code)]

mod builds;
mod causes;
mod cluster;
mod cluster_errors;
mod cluster_faults;
mod conformance;
mod disturbed;
mod doubted;
mod errors;
mod fault_points;
mod faults;
mod foreign_resources;
mod foreign_resources_in_engines;
mod full_folders;
mod hints;
mod images;
mod interrupted;
mod isolated_env;
mod kills;
mod ledgers;
mod leftovers;
mod liars;
mod listings;
mod machine;
mod matrices;
mod pods;
mod private_daemon;
mod random;
mod refusals;
mod runtimes;
mod schema;
mod side_by_side;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use shm_testkit::trial::Variables;
use shm_testkit::{Failed, Suite, Trial};
use signal_hook::consts::SIGINT;

fn main() -> ExitCode {
    // A shell ignores SIGINT for background commands, and child processes inherit that. A signal
    // with a handler here gets its default action in child processes.
    signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::new(AtomicBool::new(true)))
        .expect("a handler for SIGINT");
    let last = Trial::here("nothing_is_left_behind", &[], nothing_left);
    // Trials spend most of their time waiting for an engine.
    Suite::new(trials()).prepared_by(build).threads(4).last(last).run()
}

/// Builds the tools once, so that each run finds them up to date.
fn build() -> Variables {
    machine::xtask().arg("dist").assert().success();
    vec![]
}

/// Fails if any trial has left something; runs after all other trials.
fn nothing_left() -> Result<(), Failed> {
    leftovers::none()?;
    // The folder may not exist if no trial ran.
    let _ = fs::remove_dir_all(ledgers::root());
    Ok(())
}

fn trials() -> Vec<Trial> {
    let engines = &machine::ENGINES;
    let mut trials = conformance::trials(engines);
    trials.extend(liars::trials(engines));
    trials.extend(disturbed::trials(engines));
    trials.extend(doubted::trials(engines));
    trials.extend(errors::trials(engines));
    trials.extend(causes::trials(engines));
    trials.extend(interrupted::trials(engines));
    trials.extend(faults::trials(engines));
    trials.extend(full_folders::trials(engines));
    trials.extend(private_daemon::trials());
    trials.extend(kills::trials(engines));
    trials.extend(foreign_resources::trials(engines));
    trials.extend(foreign_resources_in_engines::trials(engines));
    trials.extend(side_by_side::trials(engines));
    trials.extend(images::trials(engines));
    trials.extend(listings::trials(engines));
    trials.extend(hints::trials(engines));
    trials.extend(matrices::trials(engines));
    trials.extend(random::trials(engines));
    trials.extend(refusals::trials(engines));
    trials.extend(runtimes::trials(engines));
    trials.extend(builds::trials());
    trials.extend(schema::trials());
    trials.extend(cluster::trials());
    trials.extend(cluster_errors::trials());
    trials.extend(cluster_faults::trials());
    trials.extend(pods::trials());
    trials
}
