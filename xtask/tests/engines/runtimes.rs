//! Docker with another runtime: gVisor, which gives each container its own kernel, and a missing
//! runtime.

use serde_json::Value;
use shm_testkit::{Failed, Need, Trial};
use xtask::engine::EngineKind;

use crate::machine::{Engine, assert_not_carried_out, runs, xtask};

const RUNSC: Need = Need::engine_found_by("runsc", || {
    let runtime = "runsc".parse().map_err(|_| "no name of a runtime")?;
    runs(EngineKind::Docker, Some(&runtime))
});

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let docker = &engines[0];
    vec![
        Trial::here("runsc::the_experiment_is_as_predicted", &[RUNSC], experiment),
        Trial::here("runsc::containers_share_only_what_docker_mounts", &[RUNSC], matrix),
        docker.trial("a_missing_runtime_is_named", |_| not_there()),
    ]
}

fn report(args: &[&str]) -> Result<Value, Failed> {
    let common = ["--engine", "docker", "--runtime", "runsc", "--format", "json"];
    let output = xtask().args(args).args(common).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}\n{}", String::from_utf8_lossy(&output.stdout));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn experiment() -> Result<(), Failed> {
    let report = report(&["experiment"])?;
    assert_eq!(report["engine"]["kernels"], "own", "{}", report["engine"]);
    assert_eq!(report["verdict"], "pass", "{report}");
    Ok(())
}

/// Containers share no System V object, but POSIX objects on a mount. Limits have no effect.
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
        assert!(cell["observed"][0] == seen && cell["verdict"] == "agrees", "{cell}");
    }
    let report = report(&["matrix", "--only", "mqueue/private/pause/own"])?;
    let cell = &report["engines"][0]["cells"][0];
    assert_eq!(cell["verdict"], "skipped", "{cell}");
    Ok(())
}

fn not_there() -> Result<(), Failed> {
    let args = ["--engine", "docker", "--runtime", "no-such-runtime"];
    for command in ["experiment", "matrix"] {
        let output = xtask().arg(command).args(args).output()?;
        let stderr = assert_not_carried_out(&output);
        assert!(output.stdout.is_empty() && stderr.contains("no-such-runtime"), "{stderr}");
        assert!(stderr.contains("next step: remove the reason that is given above"), "{stderr}");
    }
    Ok(())
}
