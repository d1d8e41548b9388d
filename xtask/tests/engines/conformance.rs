//! The experiment on real engines.

use std::collections::BTreeSet;

use serde_json::Value;
use shm_core::{Key, Segment};
use shm_testkit::{Effort, Failed, Trial};

use crate::machine::{Engine, xtask};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in engines {
        trials.push(engine.trial("the_article_comes_out_as_predicted", whole));
        trials.push(engine.trial("each_of_many_containers_reads_its_own_text", many));
        trials.push(engine.trial("kept_containers_exist_until_clean_removes_them", kept));
        trials.push(engine.trial("a_closed_pipe_on_standard_output_is_no_error", closed_pipe));
    }
    trials
}

fn whole(engine: &Engine) -> Result<(), Failed> {
    let experiment = engine.experiment();
    let report = experiment.report(0)?;
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["engine"]["name"], engine.name, "{}", report["engine"]);
    assert_eq!(report["verdict"], "pass", "{report}");
    let steps = report["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 34);
    for step in steps {
        check_step(engine, step);
    }
    for conclusion in report["conclusions"].as_array().unwrap() {
        let holds = conclusion["predicted"] == true && conclusion["observed"] == true;
        assert!(holds && conclusion["verdict"] == "pass", "{conclusion}");
    }
    check_namespaces(&report);
    let key = Key::new(experiment.key).unwrap();
    assert!(Segment::find(key).is_err(), "segment {key} is left on the host");
    Ok(())
}

#[track_caller]
fn check_step(engine: &Engine, step: &Value) {
    if step["id"] == "build" && !engine.has_containers() {
        // Without an engine there is no image to build.
        assert_eq!(step["verdict"], "skip", "{step}");
        return;
    }
    assert!(step["verdict"] == "pass" && step["reason"].is_null(), "{step}");
    assert!(step["duration_ms"].is_u64() && step["exit_code"].is_i64(), "{step}");
    let commanded = step["command"].as_array().is_some_and(|command| !command.is_empty());
    assert!(commanded, "{step}");
    let expected = match step["id"].as_str().unwrap() {
        "a-write" | "b-write" => "shm write success\n",
        "a-read" | "a-read-again" => "h e l l o _ w o r l d \nshm read success\n",
        "b-read" => "n i h a o \nshm read success\n",
        "b-read-before" | "host-read" | "a-read-after" | "b-read-after" => "shm read failed\n",
        _ => return,
    };
    assert_eq!(step["stdout"], expected, "{step}");
    assert_eq!(step["predicted"]["stdout"], expected, "{step}");
}

/// Asserts that five namespaces differ: the host's, and one for each start of each container.
#[track_caller]
fn check_namespaces(report: &Value) {
    let steps = report["steps"].as_array().unwrap();
    let namespace = |id: &str| {
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        step["ipc_namespace"].to_string()
    };
    let ids = ["host-read", "start-a", "start-b", "start-a-again", "start-b-again"];
    let seen: BTreeSet<_> = ids.iter().map(|id| namespace(id)).collect();
    assert!(seen.len() == 5 && seen.iter().all(|it| it.contains("inode")), "{seen:?}");
    assert_eq!(namespace("a-read-again"), namespace("start-a"), "A changed its namespace");
    assert_eq!(namespace("a-read-after"), namespace("start-a-again"), "A changed its namespace");
}

/// Each container reads once, after all have written.
fn many(engine: &Engine) -> Result<(), Failed> {
    let count = Effort::current().containers;
    let report = engine.experiment().arg("--containers").arg(&count.to_string()).report(0)?;
    let steps = report["steps"].as_array().unwrap();
    let among_all = |step: &&Value| step["id"].as_str().unwrap().ends_with("-read-among-all");
    let read: BTreeSet<_> =
        steps.iter().filter(among_all).map(|step| step["stdout"].to_string()).collect();
    assert_eq!(read.len(), count, "{read:?}");
    let isolated = &report["conclusions"][0];
    assert!(isolated["id"] == "containers_isolated" && isolated["observed"] == true, "{isolated}");
    Ok(())
}

fn kept(engine: &Engine) -> Result<(), Failed> {
    let experiment = engine.experiment().arg("--keep");
    let output = experiment.command().args(["--format", "json"]).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains("are kept"), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let start = report["steps"].as_array().unwrap().iter().find(|step| step["id"] == "start-a");
    let command = start.unwrap()["command"].as_array().unwrap();
    let cleaned = xtask().arg("clean").output()?;
    let cleaned = String::from_utf8(cleaned.stdout)?;
    // Another trial may have cleaned up at the same time.
    if engine.has_containers() && cleaned.contains("removed container") {
        let name = command.iter().position(|word| word == "--name").unwrap() + 1;
        let name = command[name].as_str().unwrap();
        let found = assert_cmd::Command::new(engine.name).args(["inspect", name]).output()?;
        assert!(!found.status.success(), "{name} is left after {cleaned}");
    }
    Ok(())
}

fn closed_pipe(engine: &Engine) -> Result<(), Failed> {
    let args = engine.experiment().args().join(" ");
    let script = format!("{{ {} {args}; echo $? >&2; }} | true", env!("CARGO_BIN_EXE_xtask"));
    let output = assert_cmd::Command::new("sh").args(["-c", &script]).output()?;
    let stderr = String::from_utf8(output.stderr)?;
    assert_eq!(stderr.trim(), "0");
    Ok(())
}
