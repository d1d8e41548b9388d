//! Somebody else who uses the script's key on the host while a run goes on: that is no verdict about the
//! engine.

use std::io::Read;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use shm_core::{Address, Key};

use crate::machine::{Engine, Wrappers, ensure, workspace};

const DISTURBING: &str = "somebody_elses";

pub(crate) fn trials(engines: &[Arc<Engine>]) -> Vec<Trial> {
    let moments = [
        // Reads come before the host looks, the list of what runs comes after.
        ("a_text_that_the_run_did_not_write_ends_it_as_disturbed", ["shm_rd", "shm_rd"]),
        (
            "a_text_where_the_hosts_control_is_to_be_ends_it_as_disturbed",
            ["ps", "ipc --noheadings"],
        ),
    ];
    let trial = |engine: &Arc<Engine>, (name, [engines, namespaces]): (&str, [&'static str; 2])| {
        let moment = if engine.has_containers() { engines } else { namespaces };
        engine.trial(name, move |engine| disturbed(engine, moment))
    };
    let trials = engines.iter().flat_map(|engine| moments.map(|moment| trial(engine, moment)));
    trials.collect()
}

/// A run in which another program writes on the host whenever a command with `moment` in it is given.
fn disturbed(engine: &Engine, moment: &str) -> Result<(), Failed> {
    let experiment = engine.experiment();
    let writer = workspace().join("dist/shm_wr");
    let write = format!("{} --key {} {DISTURBING}", writer.display(), experiment.key);
    let script = format!("case \" $* \" in *\"{moment} \"*) {write} >/dev/null;; esac");
    let programs =
        if engine.has_containers() { vec![engine.name] } else { vec!["nsenter", "lsns"] };
    let wrap = |wrappers: Wrappers, program: &&str| wrappers.wrap(program, &script);
    let wrappers = programs.iter().fold(Wrappers::new(), wrap);
    let output = experiment.clone().with(&wrappers).command().output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();

    let address = Address::from(Key::new(experiment.key).unwrap());
    let mut text = Vec::new();
    address.open().map_err(|error| format!("{error}: {stderr}"))?.text().read_to_end(&mut text)?;
    address.remove()?;
    // It is not the run's to remove.
    ensure(text == DISTURBING.as_bytes(), || String::from_utf8_lossy(&text).into_owned())?;
    ensure(output.status.code() == Some(2), || format!("{:?}: {stderr}", output.status))?;
    ensure(output.stdout.is_empty(), || "there is something on standard output".to_owned())?;
    let key = Key::new(experiment.key).unwrap().to_string();
    for words in ["the run was disturbed", "of user 0, made by process ", &key, "next step:"] {
        ensure(stderr.contains(words), || format!("no {words:?} in: {stderr}"))?;
    }
    Ok(())
}
