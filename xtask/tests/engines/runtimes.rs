//! Docker with another runtime: gVisor's, whose containers run on kernels of their own, and one
//! that is not there.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::machine::{ensure, trial_with, xtask};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial_with("runsc", "the_experiment_is_as_predicted", missing_runsc, experiment),
        trial_with("runsc", "what_is_shared_is_what_docker_mounts", missing_runsc, matrix),
        trial_with("docker", "a_runtime_that_is_not_there_is_named", missing_docker, not_there),
    ]
}

/// Asks docker which runtimes it has.
fn runtimes() -> Result<String, String> {
    let mut docker = assert_cmd::Command::new("docker");
    let output = docker.args(["info", "--format", "{{json .Runtimes}}"]).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn missing_docker() -> Option<String> {
    runtimes().err()
}

fn missing_runsc() -> Option<String> {
    match runtimes() {
        Ok(runtimes) if runtimes.contains("runsc") => None,
        Ok(runtimes) => Some(format!("docker has {runtimes}")),
        Err(why) => Some(why),
    }
}

fn report(args: &[&str]) -> Result<Value, Failed> {
    let common = ["--engine", "docker", "--runtime", "runsc", "--format", "json"];
    let output = xtask().args(args).args(common).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success(), || {
        format!("{stderr}\n{}", String::from_utf8_lossy(&output.stdout))
    })?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn experiment() -> Result<(), Failed> {
    let report = report(&["experiment"])?;
    ensure(report["engine"]["kernels"] == "own", || report["engine"].to_string())?;
    ensure(report["verdict"] == "pass", || report.to_string())
}

/// Limits apart, which are taken and not heeded, nothing of System V crosses to another container.
fn matrix() -> Result<(), Failed> {
    for (only, seen) in [
        ("sysv/shareable/writer-exits/joiner", "absent"),
        ("posix/shareable/writer-exits/joiner", "seen"),
        ("posix/host/restart/host", "seen"),
        ("sysv/host/restart/host", "absent"),
        ("sysv/private/shmmax/own", "seen"),
        ("sysv/private/crash/own", "absent"),
    ] {
        let report = report(&["matrix", "--only", only])?;
        let cell = &report["engines"][0]["cells"][0];
        ensure(cell["observed"][0] == seen && cell["verdict"] == "agrees", || cell.to_string())?;
    }
    let report = report(&["matrix", "--only", "mqueue/private/pause/own"])?;
    let cell = &report["engines"][0]["cells"][0];
    ensure(cell["verdict"] == "skipped", || cell.to_string())
}

fn not_there() -> Result<(), Failed> {
    let args = ["--engine", "docker", "--runtime", "no-such-runtime"];
    for command in ["experiment", "matrix"] {
        let output = xtask().arg(command).args(args).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure(output.status.code() == Some(2) && output.stdout.is_empty(), || stderr.to_string())?;
        ensure(stderr.contains("no-such-runtime"), || stderr.to_string())?;
    }
    Ok(())
}
