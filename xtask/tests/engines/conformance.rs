//! The experiment on engines that do what they are asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use shm_core::{Key, Segment};
use shm_testkit::Effort;

use crate::machine::{Engine, ensure, xtask};

pub(crate) fn trials(engines: &[Arc<Engine>]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in engines {
        trials.push(engine.trial("the_article_comes_out_as_predicted", whole));
        trials.push(engine.trial("each_of_many_containers_reads_its_own_text", many));
        trials.push(engine.trial("kept_containers_are_there_until_they_are_cleaned", kept));
        trials.push(engine.trial("a_reader_that_closes_the_pipe_is_no_error", closed_pipe));
    }
    trials
}

fn whole(engine: &Engine) -> Result<(), Failed> {
    let experiment = engine.experiment();
    let report = experiment.report(0)?;
    ensure(report["schema_version"] == 1, || "schema_version".to_owned())?;
    ensure(report["engine"]["name"] == engine.name, || report["engine"].to_string())?;
    ensure(report["verdict"] == "pass", || report["verdict"].to_string())?;
    let steps = report["steps"].as_array().unwrap();
    ensure(steps.len() == 34, || format!("{} steps", steps.len()))?;
    for step in steps {
        check_step(engine, step)?;
    }
    for conclusion in report["conclusions"].as_array().unwrap() {
        let holds = conclusion["predicted"] == true && conclusion["observed"] == true;
        ensure(holds && conclusion["verdict"] == "pass", || conclusion.to_string())?;
    }
    check_namespaces(&report)?;
    let key = Key::new(experiment.key).unwrap();
    ensure(Segment::find(key).is_err(), || format!("segment {key} is left on the host"))
}

fn check_step(engine: &Engine, step: &Value) -> Result<(), Failed> {
    if step["id"] == "build" && !engine.has_containers() {
        // Without an engine there is no image to build.
        return ensure(step["verdict"] == "skip", || step.to_string());
    }
    ensure(step["verdict"] == "pass" && step["reason"].is_null(), || step.to_string())?;
    ensure(step["duration_ms"].is_u64() && step["exit_code"].is_i64(), || step.to_string())?;
    let commanded = step["command"].as_array().is_some_and(|command| !command.is_empty());
    ensure(commanded, || step.to_string())?;
    let expected = match step["id"].as_str().unwrap() {
        "a-write" | "b-write" => "shm write success\n",
        "a-read" | "a-read-again" => "h e l l o _ w o r l d \nshm read success\n",
        "b-read" => "n i h a o \nshm read success\n",
        "b-read-before" | "host-read" | "a-read-after" | "b-read-after" => "shm read failed\n",
        _ => return Ok(()),
    };
    ensure(step["stdout"] == expected, || step.to_string())?;
    ensure(step["predicted"]["stdout"] == expected, || step.to_string())
}

/// Five namespaces, all different: the host's, and one for each start of each container.
fn check_namespaces(report: &Value) -> Result<(), Failed> {
    let steps = report["steps"].as_array().unwrap();
    let namespace = |id: &str| {
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        step["ipc_namespace"].to_string()
    };
    let ids = ["host-read", "start-a", "start-b", "start-a-again", "start-b-again"];
    let seen: BTreeSet<_> = ids.iter().map(|id| namespace(id)).collect();
    ensure(seen.len() == 5 && seen.iter().all(|it| it.contains("inode")), || format!("{seen:?}"))?;
    ensure(namespace("a-read-again") == namespace("start-a"), || "A moved".to_owned())?;
    ensure(namespace("a-read-after") == namespace("start-a-again"), || "A moved".to_owned())
}

/// Each reads once, when all have written.
fn many(engine: &Engine) -> Result<(), Failed> {
    let count = Effort::current().containers;
    let report = engine.experiment().arg("--containers").arg(&count.to_string()).report(0)?;
    let steps = report["steps"].as_array().unwrap();
    let among_all = |step: &&Value| step["id"].as_str().unwrap().ends_with("-read-among-all");
    let read: BTreeSet<_> =
        steps.iter().filter(among_all).map(|step| step["stdout"].to_string()).collect();
    ensure(read.len() == count, || format!("{read:?}"))?;
    let isolated = &report["conclusions"][0];
    ensure(isolated["id"] == "containers_isolated" && isolated["observed"] == true, || {
        isolated.to_string()
    })
}

fn kept(engine: &Engine) -> Result<(), Failed> {
    let experiment = engine.experiment().arg("--keep");
    let output = experiment.command().args(["--format", "json"]).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success() && stderr.contains("are left"), || stderr.to_string())?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let start = report["steps"].as_array().unwrap().iter().find(|step| step["id"] == "start-a");
    let command = start.unwrap()["command"].as_array().unwrap();
    let cleaned = xtask().arg("clean").output()?;
    let cleaned = String::from_utf8(cleaned.stdout)?;
    // Another trial that cleans at the same time may have been faster.
    if engine.has_containers() && cleaned.contains("removed container") {
        let name = command.iter().position(|word| word == "--name").unwrap() + 1;
        let name = command[name].as_str().unwrap();
        let found = assert_cmd::Command::new(engine.name).args(["inspect", name]).output()?;
        ensure(!found.status.success(), || format!("{name} is left after {cleaned}"))?;
    }
    Ok(())
}

fn closed_pipe(engine: &Engine) -> Result<(), Failed> {
    let args = engine.experiment().args().join(" ");
    let script = format!("{{ {} {args}; echo $? >&2; }} | true", env!("CARGO_BIN_EXE_xtask"));
    let output = assert_cmd::Command::new("sh").args(["-c", &script]).output()?;
    let stderr = String::from_utf8(output.stderr)?;
    ensure(stderr.trim() == "0", || stderr.clone())
}
