//! The command line and the outputs of `shm_ls` that need no separate namespace.
#![forbid(unsafe_code)]

use std::process;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};
use serde_json::{Value, json};
use shm_core::segment::RemoveOnDrop;
use shm_core::table::Table;
use shm_core::{IpcNamespace, Key, Limits, Segment};
use shm_testkit::programs::shell;

fn shm_ls() -> Command {
    assert_cmd::cargo::cargo_bin_cmd!("shm_ls")
}

/// Runs with `--json`; checks that it prints one line only, and returns it.
fn answer(arguments: &[&str]) -> Value {
    let assert = shm_ls().arg("--json").args(arguments).assert().code(0).stderr("");
    let stdout = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert_eq!(stdout.matches('\n').count(), 1, "{stdout:?}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn help_has_every_option_and_the_exit_statuses() {
    let mut help = shm_ls().arg("--help").assert().code(0).stderr("");
    for option in [
        "--all-objects",
        "--limits",
        "--watch",
        "every 250 ms",
        "--interval <MILLISECONDS>",
        "--id <SHMID>",
        "--json",
        "Exit status: 0 listed, or --watch got",
    ] {
        help = help.stdout(contains(option));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("shm_ls {}\n", env!("CARGO_PKG_VERSION"));
    shm_ls().arg("--version").assert().code(0).stdout(version);
}

#[test]
fn wrong_usage_exits_with_2_and_names_the_mistake() {
    for (arguments, named) in [
        (&["--limits", "--watch"][..], "cannot be used with"),
        (&["--all-objects", "--watch"], "cannot be used with"),
        (&["--all-objects", "--limits"], "cannot be used with"),
        (&["--all-objects", "--id", "1"], "cannot be used with"),
        (&["--limits", "--id", "1"], "cannot be used with"),
        (&["--id=-1"], "expected a shmid as shm_ls prints it"),
        (&["--interval", "50"], "--watch"),
        (&["--watch", "--interval", "0"], "expected a number of milliseconds from 1 to 3600000"),
        (&["--watch", "--interval", "1s"], "expected a number of milliseconds"),
        (&["-m"], "-m"),
        (&["segment"], "segment"),
    ] {
        let refused = shm_ls().args(arguments).assert();
        refused.code(2).stdout(is_empty()).stderr(starts_with("error: ").and(contains(named)));
    }
}

#[test]
fn json_has_all_data_of_a_segment() {
    let key = Key::new(0x7b00_0000 | process::id().cast_signed()).unwrap();
    let guard = RemoveOnDrop(Segment::create_new(key, 12_345, 0o640).unwrap());
    let _attachment = guard.0.attach().unwrap();
    let stat = guard.0.stat().unwrap();
    let answer = answer(&[]);
    assert_eq!(answer["ok"], true);
    assert!(answer["ipc_namespace"]["inode"].is_u64());
    let segments = answer["segments"].as_array().unwrap();
    let listed = segments.iter().find(|segment| segment["shmid"] == json!(guard.0.id())).unwrap();
    assert_eq!(
        *listed,
        json!({
            "key": key.to_string(), "shmid": guard.0.id(),
            "uid": stat.uid, "gid": stat.gid, "cuid": stat.cuid, "cgid": stat.cgid,
            "mode": "0640", "dest": false, "locked": false, "size": 12_345, "nattch": 1,
            "cpid": process::id(), "lpid": process::id(),
            "atime": stat.atime, "dtime": 0, "ctime": stat.ctime,
        })
    );
    assert_eq!(answer["limits"], json!(Limits::current().unwrap()));
}

#[test]
fn json_always_has_everything() {
    let expected = [
        "boot_id",
        "dev_shm",
        "error",
        "ipc_namespace",
        "limits",
        "memory",
        "mqueue_limits",
        "mqueues",
        "nearly_used",
        "ok",
        "posix_objects",
        "queue_limits",
        "queues",
        "segments",
        "semaphore_limits",
        "semaphores",
        "usage",
    ];
    for arguments in [&[][..], &["--limits"], &["--all-objects"]] {
        let answer = answer(arguments);
        let mut fields: Vec<_> = answer.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, expected, "{arguments:?}");
    }
}

#[test]
fn an_id_selects_one_segment() {
    let segments = [(); 2].map(|()| RemoveOnDrop(Segment::create_private(100, 0o600).unwrap()));
    let id = segments[0].0.id();
    let answer = answer(&["--id", &id.to_string()]);
    assert_eq!(answer["segments"], json!([segments[0].0.stat().unwrap()]));
    let text = shm_ls().args(["--id", &id.to_string()]).assert().code(0);
    let text = String::from_utf8(text.get_output().stdout.clone()).unwrap();
    let rows = Table::parse(&text).unwrap().0;
    assert_eq!(rows.iter().map(|row| row.shmid).collect::<Vec<_>>(), [id.0]);
}

#[test]
fn an_unknown_id_is_explained() {
    let segment = Segment::create_private(100, 0o600).unwrap();
    segment.remove().unwrap();
    let (id, namespace) = (segment.id(), IpcNamespace::current().unwrap());
    let cause = format!("cause: no segment has id {id} in this IPC namespace, {namespace}");
    shm_ls()
        .args(["--id", &id.to_string()])
        .assert()
        .code(1)
        .stdout("")
        .stderr(starts_with("shmctl failed, errno: 22").and(contains(cause)));
}

#[test]
fn json_has_the_limits_and_the_usage() {
    let answer = answer(&["--limits"]);
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["limits"], json!(Limits::current().unwrap()));
    for field in ["segments", "total_pages", "resident_pages", "swapped_pages"] {
        assert!(answer["usage"][field].is_u64(), "{field}");
    }
    assert!(answer["segments"].is_array());
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for (output, reason) in [
        (">/dev/full", "No space left on device (os error 28)"),
        (">&-", "Bad file descriptor (os error 9)"),
    ] {
        for option in
            ["", "--limits", "--all-objects", "--json", "--watch", "--watch --json", "--help"]
        {
            let script = format!("exec \"$0\" $1 {output}");
            let mut shell = shell(&script, env!("CARGO_BIN_EXE_shm_ls"), &[option]);
            shell.assert().code(1).stderr(format!("cannot write to standard output: {reason}\n"));
        }
    }
}

#[test]
fn a_closed_pipe_ends_it_silently() {
    let folder = tempfile::tempdir().unwrap();
    // A pipe that nobody reads.
    let closed = "mkfifo \"$FIFO\"; exec 3<>\"$FIFO\" 4>\"$FIFO\" 3<&- >&4;";
    let script = format!("{closed} \"$0\"; echo $? >&2");
    let mut shell = shell(&script, env!("CARGO_BIN_EXE_shm_ls"), &[]);
    shell.env("FIFO", folder.path().join("fifo")).assert().stderr("141\n");
}
