//! Two and eight runs at the same time, some of which are killed. No run disturbs another.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use shm_testkit::{Effort, Failed, Trial};

use crate::interrupted::Running;
use crate::isolated_env::{self, Inventory};
use crate::leftovers::nothing_left;
use crate::machine::{Body, Engine, by_driver, xtask};

/// How long eight runs may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let trials: [(&str, Body); 2] = [
        ("side_by_side::runs_with_one_key_do_not_disturb_each_other", at_once),
        ("side_by_side::killing_and_cleaning_up_runs_does_not_disturb_others", among_killed),
    ];
    let mut all = Vec::new();
    for engine in by_driver(engines) {
        for (name, body) in trials {
            all.push(if engine.has_containers() {
                engine.trial(name, body)
            } else {
                isolated_env::trial(engine, name, body)
            });
        }
    }
    all
}

/// Starts runs at the same time. Asserts that each passes with all its 34 steps.
fn at_once(engine: &Engine) -> Result<(), Failed> {
    let count = if engine.has_containers() { Effort::current().runs_at_once } else { 8 };
    let before = isolated_env::is_inside().then(Inventory::take);
    let experiment = engine.experiment();
    let reports = thread::scope(|scope| {
        let runs: Vec<_> = (0..count).map(|_| scope.spawn(|| experiment.report(0))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    for report in reports {
        let report = report?;
        let steps = report["steps"].as_array().map_or(0, Vec::len);
        assert!(report["verdict"] == "pass" && steps == 34, "{report}");
    }
    if let Some(before) = before {
        before.compare();
    }
    Ok(())
}

/// Kills four of eight runs, one after another, and cleans up after each.
fn among_killed(engine: &Engine) -> Result<(), Failed> {
    let before = isolated_env::is_inside().then(Inventory::take);
    let experiment = engine.experiment();
    let start = || Running::start(experiment.args(), &experiment.path());
    let mut runs = (0..8).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    let goes_on = runs.split_off(4);
    for run in &runs {
        thread::sleep(Duration::from_millis(100));
        run.signal(Signal::KILL)?;
        run.output(PATIENCE)?;
        let cleaned = xtask().arg("clean").output()?;
        assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    }
    for run in &goes_on {
        let output = run.output(PATIENCE)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {stderr}", output.status);
    }
    nothing_left(engine)?;
    if let Some(before) = before {
        before.compare();
    }
    Ok(())
}
