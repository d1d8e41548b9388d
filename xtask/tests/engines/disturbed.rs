//! Another program uses the script's key on the host during a run. This must not lead to a verdict
//! about the engine.

use std::io::Read;
use std::process::Output;

use shm_core::{Address, Key, Segment};
use shm_testkit::{Failed, Trial};
use xtask::script::article;

use crate::machine::{Engine, Wrappers, assert_not_carried_out, by_driver, workspace};

const DISTURBING: &str = "somebody_elses";

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let trials = by_driver(engines).flat_map(|engine| {
        [
            engine.trial("a_foreign_text_ends_the_run_as_disturbed", disturbed),
            engine.trial("a_foreign_text_like_the_articles_ends_the_run_as_disturbed", known_text),
            engine.trial("a_segment_without_pages_ends_the_run_as_disturbed", without_pages),
            engine.trial("a_foreign_text_after_the_last_read_is_named_and_kept", too_late),
        ]
    });
    trials.collect()
}

/// Runs the experiment while another program writes on the host before each command that contains
/// `moment`. Returns what the experiment printed; the other program's text must survive.
fn beside_another(
    engine: &Engine,
    program: &str,
    moment: &str,
    text: &str,
) -> Result<Output, Failed> {
    let experiment = engine.experiment();
    let writer = workspace().join("dist/shm_wr");
    let write = format!("{} --key {} {text}", writer.display(), experiment.key);
    let script = format!("case \" $* \" in *\"{moment} \"*) {write} >/dev/null;; esac");
    let wrappers = Wrappers::new().wrap(program, &script);
    let output = experiment.clone().with(&wrappers).command().output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();

    let key = Key::new(experiment.key).unwrap();
    let address = Address::from(key);
    let mut there = Vec::new();
    address.open().map_err(|error| format!("{error}: {stderr}"))?.text().read_to_end(&mut there)?;
    address.remove()?;
    assert_eq!(there, text.as_bytes(), "{}", String::from_utf8_lossy(&there));
    for words in ["of user 0, created by process ", &key.to_string()] {
        assert!(stderr.contains(words), "no {words:?} in: {stderr}");
    }
    Ok(output)
}

fn disturbed(engine: &Engine) -> Result<(), Failed> {
    let program = if engine.has_containers() { engine.name } else { "nsenter" };
    let stderr = assert_not_carried_out(&beside_another(engine, program, "shm_rd", DISTURBING)?);
    assert!(stderr.contains("the run was disturbed"), "{stderr}");
    Ok(())
}

/// A text of the article proves nothing, because everybody knows it.
fn known_text(engine: &Engine) -> Result<(), Failed> {
    let program = if engine.has_containers() { engine.name } else { "nsenter" };
    let output = beside_another(engine, program, "shm_rd", article::TEXT_OF_B)?;
    let stderr = assert_not_carried_out(&output);
    assert!(stderr.contains("the run was disturbed"), "{stderr}");
    Ok(())
}

/// A segment of huge pages without memory: each access to it raises SIGBUS.
fn without_pages(engine: &Engine) -> Result<(), Failed> {
    let program = if engine.has_containers() { engine.name } else { "nsenter" };
    let experiment = engine.experiment();
    // IPC_CREAT, SHM_HUGETLB, SHM_NORESERVE.
    let make = format!("shmget({}, 2097152, 01000 | 04000 | 010000 | 0666)", experiment.key);
    let script = format!("case \" $* \" in *\"shm_rd \"*) perl -e '{make}';; esac");
    let wrappers = Wrappers::new().wrap(program, &script);
    let output = experiment.clone().with(&wrappers).command().output()?;
    Segment::find(Key::new(experiment.key).unwrap())?.remove()?;
    let stderr = assert_not_carried_out(&output);
    assert!(stderr.contains("the run was disturbed"), "{stderr}");
    Ok(())
}

/// The list of containers comes after the last read of the key on the host.
fn too_late(engine: &Engine) -> Result<(), Failed> {
    let (program, moment) =
        if engine.has_containers() { (engine.name, "ps") } else { ("lsns", "ipc --noheadings") };
    let output = beside_another(engine, program, moment, DISTURBING)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told = stderr.contains("it was not removed");
    assert!(output.status.success() && told, "{:?}: {stderr}", output.status);
    Ok(())
}
