//! The experiment on a cluster: the one that kubectl is configured for, with an image that its nodes
//! have, by `SHM_KUBERNETES_IMAGE`.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use serde_json::Value;

use crate::interrupted::Running;
use crate::machine::{ensure, trial_with, xtask};

pub(crate) fn trials() -> Vec<Trial> {
    let trial =
        |name, body: fn() -> Result<(), Failed>| trial_with("kubernetes", name, missing, body);
    vec![
        trial("the_experiment_tells_a_container_restart_from_a_new_pod", as_predicted),
        trial("every_node_has_a_row_and_a_cordoned_one_is_skipped", every_node),
        trial("a_node_that_is_not_there_has_no_row", no_row),
        trial("a_namespace_that_was_given_is_used_and_kept", given_namespace),
        trial("an_image_that_is_not_there_is_named_within_seconds", no_image),
        trial("a_node_that_is_not_there_is_named", no_node),
        trial("a_context_that_is_not_there_is_named", no_context),
        trial("an_interrupted_run_leaves_nothing", interrupted),
        trial("what_a_killed_run_leaves_is_cleaned", killed),
    ]
}

fn image() -> String {
    std::env::var("SHM_KUBERNETES_IMAGE").unwrap_or_default()
}

fn missing() -> Option<String> {
    if image().is_empty() {
        return Some("SHM_KUBERNETES_IMAGE names no image".to_owned());
    }
    let version = kubectl(&["version", "--request-timeout", "10s"]);
    (!version.status.success()).then(|| String::from_utf8_lossy(&version.stderr).into_owned())
}

fn kubectl(args: &[&str]) -> Output {
    let output = Command::new("kubectl").args(args).output();
    output.unwrap_or_else(|error| Output {
        status: ExitStatus::from_raw(1 << 8),
        stdout: vec![],
        stderr: error.to_string().into_bytes(),
    })
}

/// What of runs is in the cluster.
pub(crate) fn objects() -> String {
    let mut found = String::new();
    for kind in ["namespaces", "pods"] {
        let args = ["get", kind, "-A", "-l", "shm.experiment.run", "-o", "name"];
        found += &String::from_utf8_lossy(&kubectl(&args).stdout);
    }
    found
}

fn run(args: &[&str]) -> Result<(Option<i32>, String, String), Failed> {
    let output = xtask().args(["experiment", "--engine", "kubernetes"]).args(args).output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

fn as_predicted() -> Result<(), Failed> {
    let (status, stdout, stderr) = run(&["--image", &image(), "--format", "json"])?;
    ensure(status == Some(0), || format!("{stderr}\n{stdout}"))?;
    let report: Value = serde_json::from_str(&stdout)?;
    let holds = |id: &str| {
        let conclusions = report["conclusions"].as_array()?.iter();
        let found = conclusions.into_iter().find(|it| it["id"] == id)?;
        (found["verdict"] == "pass").then_some(found["observed"].as_bool())?
    };
    for (id, expected) in [
        ("containers_isolated", true),
        ("host_isolated", true),
        ("cleared_by_container_restart", false),
        ("cleared_by_pod_recreation", true),
    ] {
        ensure(holds(id) == Some(expected), || format!("{id}: {stdout}"))?;
    }
    Ok(())
}

fn every_node() -> Result<(), Failed> {
    let listed = kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
    let names = String::from_utf8(listed.stdout)?;
    let names: Vec<_> = names.split(' ').collect();
    // One is left for the tests beside this one.
    let cordoned = names.last().filter(|_| names.len() > 1);
    if let Some(name) = cordoned {
        ensure(kubectl(&["cordon", name]).status.success(), || format!("cordon {name}"))?;
    }
    let done = run(&["--image", &image(), "--nodes", "all", "--format", "json"]);
    if let Some(name) = cordoned {
        ensure(kubectl(&["uncordon", name]).status.success(), || format!("uncordon {name}"))?;
    }
    let (status, stdout, stderr) = done?;
    ensure(status == Some(0), || format!("{stderr}\n{stdout}"))?;
    let report: Value = serde_json::from_str(&stdout)?;
    let rows = report["nodes"].as_array().ok_or("no rows")?;
    ensure(rows.len() == names.len(), || stdout.clone())?;
    for row in rows {
        let is_cordoned = cordoned.is_some_and(|name| row["name"] == **name);
        let (verdict, reason) =
            if is_cordoned { ("skip", Value::from("cordoned")) } else { ("pass", Value::Null) };
        ensure(row["verdict"] == verdict && row["reason"] == reason, || row.to_string())?;
    }
    Ok(())
}

fn no_row() -> Result<(), Failed> {
    refused(&["--image", &image(), "--nodes", "no-such-node"], "there is no node no-such-node")
}

fn given_namespace() -> Result<(), Failed> {
    let name = format!("shm-test-{}", std::process::id());
    ensure(kubectl(&["create", "namespace", &name]).status.success(), || name.clone())?;
    let done = run(&["--image", &image(), "--namespace", &name]);
    let pods = kubectl(&["get", "pods", "--namespace", &name, "-o", "name"]);
    let deleted = kubectl(&["delete", "namespace", &name, "--wait=false"]);
    let (status, stdout, stderr) = done?;
    ensure(status == Some(0), || format!("{stderr}\n{stdout}"))?;
    ensure(pods.stdout.is_empty(), || String::from_utf8_lossy(&pods.stdout).into_owned())?;
    ensure(deleted.status.success(), || "it was not there any more".to_owned())
}

/// A failure before the first step is through is an error that says why, soon.
fn refused(args: &[&str], why: &str) -> Result<(), Failed> {
    let started = Instant::now();
    let (status, stdout, stderr) = run(args)?;
    ensure(status == Some(2) && stdout.is_empty(), || format!("{status:?} {stderr}\n{stdout}"))?;
    ensure(stderr.contains(why), || stderr.clone())?;
    ensure(started.elapsed() < Duration::from_mins(1), || "it took a minute".to_owned())
}

fn no_image() -> Result<(), Failed> {
    refused(&["--image", "localhost/no-such-image:1"], "ImagePull")
}

fn no_node() -> Result<(), Failed> {
    refused(&["--image", &image(), "--node", "no-such-node"], "no-such-node")
}

fn no_context() -> Result<(), Failed> {
    refused(&["--image", &image(), "--context", "no-such-context"], "no-such-context")
}

/// Starts a run and ends it by `signal` once it has made something.
fn end_by(signal: Signal) -> Result<Output, Failed> {
    let before = objects();
    let args = ["experiment", "--engine", "kubernetes", "--image", &image()].map(str::to_owned);
    let running = Running::start(args.to_vec(), &std::env::var("PATH")?)?;
    let started = Instant::now();
    while objects() == before && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
    }
    running.signal(signal)?;
    Ok(running.output(Duration::from_mins(2))?.clone())
}

fn interrupted() -> Result<(), Failed> {
    let output = end_by(Signal::INT)?;
    ensure(output.stdout.is_empty() && output.status.signal() == Some(2), || format!("{output:?}"))
}

fn killed() -> Result<(), Failed> {
    end_by(Signal::KILL)?;
    let cleaned = xtask().arg("clean").output()?;
    let stdout = String::from_utf8_lossy(&cleaned.stdout);
    ensure(stdout.contains("kubernetes: removed namespaces shm-"), || stdout.into_owned())
}
