//! The matrix on real engines, and on engines that lie about one mode or one event.

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::machine::{Engine, Wrappers, ensure, xtask};

pub(crate) fn trials(engines: &[Arc<Engine>]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in engines {
        if engine.has_containers() {
            // A mode with a refusal, and the event with the most to tell.
            for part in
                ["*/private/restart", "*/shareable/stop-start", "*/container/donor-restarts"]
            {
                let name = format!("the_matrix_is_as_predicted_for_{part}");
                trials.push(engine.trial(&name, move |engine| as_predicted(engine, part, 12)));
            }
            trials.push(engine.trial("a_mode_that_lies_is_caught_by_its_cells_alone", lying_mode));
            trials
                .push(engine.trial("an_event_that_lies_is_caught_by_its_cells_alone", lying_event));
        } else {
            trials.push(engine.trial("the_whole_matrix_is_as_predicted", |engine| {
                as_predicted(engine, "*", 453)
            }));
        }
    }
    trials
}

fn matrix(engine: &Engine, only: &str, path: &str, status: i32) -> Result<Vec<Value>, Failed> {
    let args = ["matrix", "--engine", engine.name, "--only", only, "--format", "json"];
    let output = xtask().args(args).env("PATH", path).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    ensure(output.status.code() == Some(status), || format!("{stderr}\n{stdout}"))?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    Ok(report["cells"].as_array().ok_or("no cells")?.clone())
}

fn as_predicted(engine: &Engine, only: &str, count: usize) -> Result<(), Failed> {
    let cells = matrix(engine, only, &std::env::var("PATH")?, 0)?;
    ensure(cells.len() == count, || format!("{} cells", cells.len()))?;
    for cell in &cells {
        let verdict = cell["verdict"].as_str().unwrap();
        ensure(["agrees", "refused", "quirk"].contains(&verdict), || cell.to_string())?;
    }
    let seen = cells.iter().any(|cell| cell["observed"][0] == "seen");
    ensure(seen, || "nobody sees anything".to_owned())
}

/// The names of the cells that differ, without the mechanism that is always shared.
fn differing(cells: &[Value]) -> Vec<String> {
    let name = |cell: &Value| {
        let part = |name: &str| cell[name].as_str().unwrap().to_owned();
        ["mechanism", "sharing", "event", "observer"].map(part).join("/")
    };
    cells.iter().filter(|cell| cell["verdict"] == "differs").map(name).collect()
}

/// `none` that is quietly `host`: what must not be seen is, and what must not be there is.
fn lying_mode(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$*" in *"--ipc none"*)
        set -- $(printf '%s ' "$@" | sed 's/--ipc none/--ipc host/');; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let path = engine.experiment().with(&wrappers).path();
    let cells = matrix(engine, "*/*/writer-exits", &path, 1)?;
    let differing = differing(&cells);
    let all_none = differing.iter().all(|cell| cell.contains("/none/"));
    let host = differing.iter().any(|cell| cell == "sysv/none/writer-exits/host");
    ensure(all_none && host, || format!("{differing:?}"))
}

/// A kill that only pauses: everything is still there.
fn lying_event(engine: &Engine) -> Result<(), Failed> {
    let script = r#"case "$1" in kill) echo "$2"; exit 0;; esac"#;
    let wrappers = Wrappers::new().wrap(engine.name, script);
    let path = engine.experiment().with(&wrappers).path();
    let cells = matrix(engine, "*/shareable", &path, 1)?;
    let differing = differing(&cells);
    let killed = differing.iter().all(|cell| cell.contains("/shareable/kill-start/"));
    let own = differing.iter().any(|cell| cell == "sysv/shareable/kill-start/own");
    ensure(killed && own, || format!("{differing:?}"))
}
