//! The experiment on real engines, and on engines that lie, hang and refuse.
//!
//! An engine that is not there makes its trials ignored, with the reason; with
//! `SHM_REQUIRE_ENGINES=docker,podman,namespaces` it makes them fail. `kubernetes`, `runsc` and
//! `xmllint` may be required in the same way. `SHM_WHOLE_MATRIX=docker` runs all of the matrix there,
//! `SHM_RANDOM_SCRIPTS` says how many random scripts.
#![forbid(unsafe_code)]

mod cluster;
mod honest;
mod images;
mod interrupted;
mod leftovers;
mod liars;
mod machine;
mod matrices;
mod misfortune;
mod random;
mod runtimes;
mod schema;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    if arguments.list {
        libtest_mimic::run(&arguments, trials()).exit();
    }
    // Built once; each run then finds it up to date.
    machine::xtask().arg("dist").assert().success();
    let before = leftovers::Snapshot::take();
    let trials = libtest_mimic::run(&arguments, trials());
    // After all others: what they left, if anything.
    let last = Trial::test("nothing_is_left_behind", move || before.compare());
    let last = libtest_mimic::run(&Arguments::default(), vec![last]);
    if trials.has_failed() || last.has_failed() {
        trials.exit_if_failed();
        last.exit();
    }
}

fn trials() -> Vec<Trial> {
    let engines = machine::engines();
    let mut trials = honest::trials(&engines);
    trials.extend(liars::trials(&engines));
    trials.extend(misfortune::trials(&engines));
    trials.extend(interrupted::trials(&engines));
    trials.extend(images::trials(&engines));
    trials.extend(matrices::trials(&engines));
    trials.extend(random::trials(&engines));
    trials.extend(runtimes::trials());
    trials.extend(schema::trials());
    trials.extend(cluster::trials());
    trials
}
