//! The command line of `cargo xtask`, for everything that needs no engine.
#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use shm_testkit::programs;

fn xtask() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
}

#[test]
fn help_names_every_command_and_exit_status() {
    let commands = contains("experiment").and(contains("dist")).and(contains("clean"));
    xtask().arg("--help").assert().success().stdout(commands.and(contains("Exit status")));
    let engines = contains("docker").and(contains("podman")).and(contains("namespaces"));
    xtask().args(["experiment", "--help"]).assert().success().stdout(engines);
}

#[test]
fn wrong_usage_exits_with_status_2_and_names_the_valid_values() {
    for (args, message) in [
        (&["experiment", "--engine", "lxc"][..], "possible values: auto, docker"),
        (&["experiment", "--key", "0"], "IPC_PRIVATE"),
        (&["experiment", "--key", "abc"], "expected a decimal number"),
        (&["experiment", "--timeout", "18446744073709551615"], "is not in 1..=86400"),
        (&["experiment", "--format", "yaml"], "possible values: text, json"),
        (&["experiment", "--engine", "namespaces", "--runtime", "runc"], "for docker and podman"),
        (&["experiment", "--engine", "model", "--nodes", "all"], "--engine kubernetes"),
        (&["matrix", "--engine", "docker", "--engine", "kubernetes"], "run one command for each"),
        (&["matrix", "--repeat", "0"], "zero for non-zero"),
        (&["matrix", "--only", "sysv/nowhere"], "selects no cell"),
        (&["bench", "speed"], "possible values: process, data, messages, experiment, build"),
        (&["bench", "--pairs", "0"], "zero for non-zero"),
        (&["bench", "--format", "markdown"], "possible values: text, json"),
        (&["experimant"], "a similar subcommand exists: 'experiment'"),
        (&[], "Usage"),
    ] {
        let told = contains(message).and(contains("\nnext step: "));
        xtask().args(args).assert().code(2).stdout("").stderr(told);
    }
}

#[test]
fn an_output_path_in_a_missing_folder_is_rejected_before_anything_runs() {
    for command in [&["experiment", "--engine", "model"][..], &["bench"]] {
        let report = ["--output", "/nonexistent/report.txt"];
        let message = "/nonexistent/report.txt: the folder does not exist\n\
                       next step: choose a file in an existing folder\n";
        xtask().args(command).args(report).assert().code(2).stdout("").stderr(contains(message));
    }
}

#[test]
fn a_report_in_a_file_equals_the_one_on_standard_output_without_colour() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.txt");
    let model = ["experiment", "--engine", "model"];
    xtask().args(model).arg("--output").arg(&path).assert().success().stdout("");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(!written.contains('\x1b'));
    // The last line contains the duration, which differs.
    let (steps, _) = written.trim_end().rsplit_once('\n').unwrap();
    let printed = xtask().args(model).env("NO_COLOR", "1").assert().success();
    printed.stdout(predicates::str::starts_with(steps.to_owned()));
}

#[test]
fn a_report_on_a_full_disk_exits_with_status_2() {
    let assert = shell("exec \"$0\" experiment --engine model >/dev/full").assert();
    let free = "\nnext step: choose a file on a file system with free space";
    assert.code(2).stderr(contains("cannot write the report").and(contains(free)));
}

#[test]
fn free_space_is_not_the_next_step_if_there_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    // Without a handler for SIGXFSZ, the limit would end the process.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" experiment --engine model --output \"$1\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, env!("CARGO_BIN_EXE_xtask")]).arg(folder.path().join("report"));
    let next = "\nnext step: choose another file, --output FILE";
    limited.assert().code(2).stderr(contains(next).and(contains("File too large")));
}

/// Returns a shell command with `xtask` as `$0` and a generous time limit.
fn shell(script: &str) -> Command {
    let mut shell = programs::shell(script, env!("CARGO_BIN_EXE_xtask"), &[]);
    shell.timeout(Duration::from_secs(30));
    shell
}

#[test]
fn a_report_is_not_written_to_a_fifo_a_device_or_a_dangling_link() {
    let folder = tempfile::tempdir().unwrap();
    let model = "experiment --engine model --output";
    for (make, told) in [
        (
            "mkfifo report",
            "it is a FIFO without a reader, or a socket\nnext step: choose a regular file",
        ),
        ("mkfifo report; exec 3<>report", "it is a FIFO\nnext step: choose a regular file"),
        ("ln -s nowhere report", "it is a dangling link\nnext step: choose its target"),
        ("ln -s /dev/full report", "it is a device\nnext step: choose a regular file"),
        ("mkdir report", "choose a file in an existing folder"),
    ] {
        let script = format!("rm -rf report; {make}; exec \"$0\" {model} report");
        let assert = shell(&script).current_dir(folder.path()).assert();
        assert.code(2).stdout("").stderr(contains("--output report: ").and(contains(told)));
        assert!(!folder.path().join("nowhere").exists());
        assert!(folder.path().join("report").symlink_metadata().is_ok());
    }
}

#[test]
fn a_report_is_written_to_open_pipes_and_to_dev_null() {
    let model = "experiment --engine model --output";
    for (script, printed) in [
        (format!("\"$0\" {model} /dev/stdout | cat"), true),
        (format!("{{ \"$0\" {model} /dev/fd/3 3>&1 >&2; }} | cat"), true),
        (format!("exec \"$0\" {model} /dev/null"), false),
    ] {
        let assert = shell(&script).assert().success();
        assert_eq!(!assert.get_output().stdout.is_empty(), printed, "{script}");
    }
}

#[test]
fn a_report_that_replaces_a_file_keeps_its_mode_and_links() {
    let folder = tempfile::tempdir().unwrap();
    let script = "umask 027; echo old >report; chmod 604 report; ln report hard; ln -s report soft; \
                  for name in report soft new; do \"$0\" experiment --engine model --output $name; done";
    shell(script).current_dir(folder.path()).assert().success();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let mode = |name: &str| folder.path().join(name).metadata().unwrap().mode() & 0o777;
    assert!(read("report").starts_with("The article"), "{}", read("report"));
    assert_eq!(read("hard"), read("report"));
    assert!(folder.path().join("soft").is_symlink());
    assert_eq!((mode("report"), mode("new")), (0o604, 0o640));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let model = ["experiment", "--engine", "model"];
    let coloured = contains("\x1b[");
    xtask().args(model).env_remove("NO_COLOR").assert().stdout(coloured.clone().not());
    let forced = xtask().args(model).env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").assert();
    forced.success().stdout(coloured);
}
