//! Full folders: of the report, of the ledgers, and of the volume of a matrix.

use assert_cmd::Command;
use shm_testkit::{Failed, Trial, count};

use crate::ledgers;
use crate::leftovers::nothing_left;
use crate::machine::{Engine, assert_not_carried_out, random_key, workspace, xtask};

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let mut trials =
        vec![Trial::here("a_report_on_a_full_standard_output_is_an_error", &[], no_room)];
    for engine in engines.iter().filter(|engine| !engine.has_containers()) {
        let name = "a_report_on_a_full_disk_is_an_error";
        trials.push(engine.trial(name, full_output));
        let name = "a_full_volume_is_an_error_that_names_the_next_step";
        trials.push(engine.trial(name, full_volume));
        let name = "a_full_ledger_folder_ends_the_run_before_anything_is_created";
        trials.push(engine.trial(name, full_ledger));
    }
    trials
}

const FULL: &str = "No space left on device";

fn fails(command: &mut Command, words: &[&str]) -> Result<(), Failed> {
    let output = command.output()?;
    let stderr = assert_not_carried_out(&output);
    for words in words {
        assert!(stderr.contains(words), "no {words:?} in: {stderr}");
    }
    count("full files and folders", &[(1, "named errors")]);
    Ok(())
}

fn no_room() -> Result<(), Failed> {
    for format in ["text", "json", "markdown", "junit", "html"] {
        for command in [&["experiment"][..], &["matrix", "--only", "sysv/private"]] {
            let mut model = Command::new("sh");
            model.args(["-c", "exec \"$0\" \"$@\" --output /dev/stdout >/dev/full"]);
            model.arg(env!("CARGO_BIN_EXE_xtask")).args(command);
            model.args(["--engine", "model", "--format", format]);
            let words = ["cannot write the report", FULL, "file system with free space"];
            fails(&mut model, &words)?;
        }
    }
    Ok(())
}

/// Returns a command with private user and mount namespaces and a folder of this size, `$FOLDER`.
fn with_room(size: &str, script: &str) -> Result<(Command, tempfile::TempDir), Failed> {
    let folder = tempfile::tempdir()?;
    let mount = format!("mount -t tmpfs -o size={size} none \"$FOLDER\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(format!("{mount} && {script}")).arg(env!("CARGO_BIN_EXE_xtask"));
    command.env("FOLDER", folder.path()).current_dir(workspace());
    command.envs(ledgers::environment());
    Ok((command, folder))
}

fn full_output(_: &Engine) -> Result<(), Failed> {
    let script = "exec \"$0\" experiment --engine model --format html --output \"$FOLDER/report\"";
    let (mut command, _folder) = with_room("4k", script)?;
    fails(&mut command, &["cannot write the report", FULL, "file system with free space"])
}

fn full_volume(_: &Engine) -> Result<(), Failed> {
    let script = "TMPDIR=$FOLDER exec \"$0\" matrix --engine namespaces --only sysv/private/oom";
    let (mut command, _folder) = with_room("1m", script)?;
    let words =
        ["cannot write ", "large_text", FULL, "next step: set TMPDIR to a folder with 100 MB"];
    fails(&mut command, &words)?;
    // The ledger still names the keys that the run planned to use.
    xtask().arg("clean").assert().success();
    Ok(())
}

/// The ledger is written first, so nothing is created if that fails.
fn full_ledger(engine: &Engine) -> Result<(), Failed> {
    let script =
        "XDG_STATE_HOME=$FOLDER exec \"$0\" experiment --engine namespaces --containers 64";
    let (mut command, _folder) = with_room("4k", &format!("{script} --key {}", random_key()))?;
    fails(&mut command, &["the ledger or its folder", FULL, "next step: free space there"])?;
    nothing_left(engine)
}
