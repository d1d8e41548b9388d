//! Objects that runs of this test program have left, recognised by the marks of these runs.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use shm_core::{Key, Segment};
use shm_testkit::Failed;
use shm_testkit::programs::which;

use crate::ledgers;
use crate::machine::{ENGINES, Engine, keys};

const RUN_VARIABLE: &str = "SHM_EXPERIMENT_RUN=";

/// Fails if any run has left anything.
pub(crate) fn none() -> Result<(), Failed> {
    let mut left = Vec::new();
    let root = ledgers::root();
    for engine in ENGINES.iter().filter(|engine| which(engine.name).is_some()) {
        match containers(engine.name, &root) {
            Ok(found) => left.extend(found.into_iter().map(|(_, name)| name)),
            Err(error) if engine.runs_containers() => return Err(error),
            // No trial has used it.
            Err(_) => {}
        }
    }
    left.extend(processes(&root).into_iter().map(|(_, pid)| format!("process {pid}")));
    let keys = keys().into_iter().filter_map(Key::new);
    for key in keys {
        left.extend(Segment::find(key).is_ok().then(|| format!("segment {key}")));
        let name = format!("/dev/shm/shm_experiment_{key}");
        left.extend(Path::new(&name).exists().then_some(name));
    }
    for state in fs::read_dir(&root).into_iter().flatten().flatten() {
        for folder in ["tmp", "shm_experiment"] {
            let entries = fs::read_dir(state.path().join(folder)).into_iter().flatten().flatten();
            let paths = entries.map(|entry| entry.path());
            left.extend(
                paths
                    .filter(|path| !names_only_things_of_engines(path))
                    .map(|it| it.display().to_string()),
            );
        }
    }
    left.extend(crate::cluster::objects(&root));
    assert!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}

/// Returns whether a ledger names only objects in engines and clusters. [`none`] searches for these
/// objects there: a ledger may name objects that are already gone, and images are kept.
fn names_only_things_of_engines(ledger: &Path) -> bool {
    let text = fs::read_to_string(ledger).unwrap_or_default();
    ledger.extension().is_some_and(|it| it == "jsonl")
        && text.lines().skip(1).all(|line| {
            ["image", "container", "pod", "object", "node_memory"]
                .iter()
                .any(|it| line.starts_with(&format!("{{\"{it}\":")))
        })
}

/// Returns the runs and names of an engine's containers whose ledger is below a folder.
fn containers(program: &str, folder: &Path) -> Result<Vec<(String, String)>, Failed> {
    let label = |name: &str| match program {
        "podman" => format!("{{{{index .Labels \"{name}\"}}}}"),
        _ => format!("{{{{.Label \"{name}\"}}}}"),
    };
    let (ledger, run) = (label("shm.experiment.ledger"), label("shm.experiment.run"));
    let format = format!("{ledger}\t{run}\t{{{{.Names}}}}");
    let ps = ["ps", "--all", "--filter", "label=shm.experiment.run", "--format", &format];
    let output = Command::new(program).args(ps).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let found = text.lines().filter_map(|line| {
        let mut parts = line.split('\t');
        let ours = Path::new(parts.next()?).starts_with(folder);
        ours.then(|| Some((parts.next()?.to_owned(), parts.next()?.to_owned())))?
    });
    Ok(found.collect())
}

/// Returns the runs and ids of processes whose state folder is below a folder.
fn processes(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let found = entries.filter_map(|entry| {
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let variable = |name: &str| environment.split('\0').find_map(|it| it.strip_prefix(name));
        let state = Path::new(variable("XDG_STATE_HOME=")?);
        let run = variable(RUN_VARIABLE)?.to_owned();
        state.starts_with(folder).then(|| (run, entry.file_name().to_string_lossy().into_owned()))
    });
    found.collect()
}

/// Returns the containers and processes of this thread's runs that have ended.
pub(crate) fn of_ended_runs(engine: &Engine) -> Result<Vec<String>, Failed> {
    let found = if engine.has_containers() {
        containers(engine.name, &ledgers::state())?
    } else {
        processes(&ledgers::state())
    };
    let gone = found.into_iter().filter(|(run, _)| !ledgers::is_in_use(run));
    Ok(gone.map(|(_, thing)| thing).collect())
}

pub(crate) fn nothing_left(engine: &Engine) -> Result<(), Failed> {
    let left = of_ended_runs(engine)?;
    assert!(left.is_empty(), "left: {left:?}");
    Ok(())
}
