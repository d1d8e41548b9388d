//! The matrix on real engines, and on engines that lie about a mode, an event or a limit.

use std::time::Duration;

use serde_json::Value;
use shm_testkit::{Effort, Failed, Trial};

use crate::machine::{Body, Engine, Wrappers, by_driver, xtask};

/// The parts in which Podman behaves differently from Docker.
const OF_PODMAN: [&str; 3] =
    ["*/pod/pod-restarts", "*/container/donor-restarts", "*/container/shmmax"];

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in engines {
        if Effort::current().whole_matrix.contains(&engine.name) {
            trials.push(engine.trial("the_whole_matrix_is_as_predicted", |engine| {
                as_predicted(engine, "*", 1690)
            }));
        }
        trials.push(engine.trial("repeat_runs_each_cell_as_often_as_requested", repeated));
        if engine.has_containers() {
            // A mode with a refusal, and the most significant events and limits.
            for (part, count) in [
                ("*/private/restart", 24),
                ("*/shareable/stop-start", 24),
                ("*/container/donor-restarts", 24),
                ("*/pod/pod-restarts", 24),
                ("*/private/oom", 24),
                ("*/shareable/crash", 24),
                ("*/container/shmmax", 8),
                ("*/shareable/shm-size", 8),
            ] {
                // Podman is slow; the soak run covers the other parts with the whole matrix.
                if engine.name == "podman" && !OF_PODMAN.contains(&part) {
                    continue;
                }
                let name = format!("the_matrix_is_as_predicted_for_{part}");
                trials.push(engine.trial(&name, move |engine| as_predicted(engine, part, count)));
            }
        }
    }
    let lies: [(&str, Body); 4] = [
        ("a_lie_about_a_mode_is_detected_by_its_cells_only", lying_mode),
        ("a_lie_about_an_event_is_detected_by_its_cells_only", lying_event),
        ("an_absence_without_a_successful_control_is_unproven", replayed_absence),
        ("a_lie_about_a_limit_is_detected_by_its_cells_only", lying_limit),
    ];
    for engine in by_driver(engines).filter(|engine| engine.has_containers()) {
        trials.extend(lies.map(|(name, lie)| engine.trial(name, lie)));
    }
    trials
}

fn matrix(engine: &Engine, args: &[&str], path: &str, status: i32) -> Result<Vec<Value>, Failed> {
    let mut matrix = xtask();
    matrix.args(["matrix", "--engine", engine.name, "--format", "json"]).args(args);
    let output = matrix.env("PATH", path).timeout(Duration::from_mins(45)).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{:?}: {stderr}", output.status))?;
    let cells = report["engines"][0]["cells"].as_array().ok_or("no cells")?.clone();
    assert_eq!(output.status.code(), Some(status), "{stderr}\n{:?}", bad(&cells));
    Ok(cells)
}

fn as_predicted(engine: &Engine, only: &str, count: usize) -> Result<(), Failed> {
    let cells = matrix(engine, &["--only", only], &std::env::var("PATH")?, 0)?;
    assert_eq!(cells.len(), count);
    let skipped = |cell: &&Value| cell["verdict"] == "skipped";
    let seen = cells.iter().any(|cell| cell["observed"][0] == "seen");
    let pods = only.contains("/pod/") && engine.name != "podman";
    assert!(if pods { cells.iter().all(|it| skipped(&it)) } else { seen }, "nothing is seen");
    if engine.has_containers() && !pods {
        // Engines support everything except pods.
        let unexpected = cells.iter().filter(skipped).find(|cell| cell["sharing"] != "pod");
        assert!(unexpected.is_none(), "{unexpected:?}");
    }
    Ok(())
}

fn repeated(engine: &Engine) -> Result<(), Failed> {
    let args = ["--only", "*/private/pause", "--repeat", "3"];
    let cells = matrix(engine, &args, &std::env::var("PATH")?, 0)?;
    let thrice = cells.iter().all(|cell| cell["observed"].as_array().unwrap().len() == 3);
    assert!(thrice, "{cells:?}");
    Ok(())
}

fn name(cell: &Value) -> String {
    let part = |name: &str| cell[name].as_str().unwrap().to_owned();
    ["mechanism", "sharing", "event", "observer"].map(part).join("/")
}

/// Returns the names of the cells that differ, are unstable, unproven or unclear.
fn bad(cells: &[Value]) -> Vec<String> {
    let bad = |cell: &&Value| {
        ["differs", "unstable", "unproven", "unclear"]
            .map(|it| cell["verdict"] == it)
            .contains(&true)
    };
    cells.iter().filter(bad).map(name).collect()
}

/// Runs a part of the matrix on an engine behind a lying wrapper. All cells that differ must have
/// `part` in their names, and `surely` must be one of them.
fn check(
    engine: &Engine,
    script: &str,
    only: &str,
    part: &str,
    surely: &str,
) -> Result<(), Failed> {
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let path = engine.experiment().with(&wrappers).path();
    let differing = bad(&matrix(engine, &["--only", only], &path, 1)?);
    let right = differing.iter().all(|cell| cell.contains(part));
    assert!(right && differing.iter().any(|cell| cell == surely), "{differing:?}");
    Ok(())
}

/// `--ipc none` becomes `--ipc host`: observers see objects that they must not see.
fn lying_mode(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$*" in *"--ipc none"*)
        set -- $(printf '%s ' "$@" | sed 's/--ipc none/--ipc host/');; esac"#;
    check(engine, script, "*/*/writer-exits", "/none/", "sysv/none/writer-exits/host")
}

/// A kill that does nothing: the objects still exist.
fn lying_event(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1" in kill) echo "$2"; exit 0;; esac"#;
    let surely = "sysv/shareable/kill-start/own";
    check(engine, script, "*/shareable", "/shareable/kill-start/", surely)
}

/// A limit that is accepted but not set: writes that must fail succeed.
fn lying_limit(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$*" in *"--sysctl kernel.shmmni=0"*)
        set -- $(printf '%s ' "$@" | sed 's/--sysctl kernel.shmmni=0//');; esac"#;
    check(engine, script, "*/shareable", "sysv/shareable/shmmni/", "sysv/shareable/shmmni/joiner")
}

/// A reader that always reports absence: its answer is right, but it does not look.
fn replayed_absence(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$# $*" in "5 exec "*-other" shm_rd --key "*)
        echo 'shmget failed, errno: 2 msg: No such file or directory' >&2
        echo shm read failed; exit 255;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let path = engine.experiment().with(&wrappers).path();
    let cells = matrix(engine, &["--only", "*/private/pause"], &path, 1)?;
    assert_eq!(bad(&cells), ["sysv/private/pause/other"]);
    let cell = cells.iter().find(|cell| name(cell) == "sysv/private/pause/other").unwrap();
    let reason = cell["reason"].as_str().unwrap_or_default();
    assert!(cell["verdict"] == "unproven" && reason.contains("other-read-control-sysv"), "{cell}");
    Ok(())
}
