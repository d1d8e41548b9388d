//! Fake programs in `PATH` with the output that a test needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with fake programs; `PATH` has only this folder and those of the system.
pub(crate) struct Fakes {
    pub(crate) folder: TempDir,
}

impl Fakes {
    pub(crate) fn new() -> Self {
        let fakes = Self { folder: tempfile::tempdir().unwrap() };
        // The tests must not use the engines of this machine.
        fakes
            .program("docker", "exit 127")
            .program("podman", "exit 127")
            .program("kubectl", "exit 127")
    }

    /// Adds a shell script under the name of `program`.
    pub(crate) fn program(self, program: &str, script: &str) -> Self {
        let path = self.folder.path().join(program);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Returns a shell command that prints a text unchanged.
    pub(crate) fn print(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("/bin/cat {}", path.to_str().unwrap())
    }

    /// Writes the ledger of a run that has ended.
    pub(crate) fn ledger(&self, entry: &Value) {
        let folder = self.folder.path().join("shm_experiment");
        fs::create_dir(&folder).unwrap();
        let text = format!("{}\n{entry}\n", json!({ "version": 1, "pid": 1 }));
        fs::write(folder.join("gone.jsonl"), text).unwrap();
    }

    /// Runs `cargo xtask` with the fake programs.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().to_str().unwrap());
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask.args(args).env("PATH", path);
        xtask.env("TMPDIR", self.folder.path()).env("XDG_STATE_HOME", self.folder.path());
        xtask.env_remove("CLICOLOR_FORCE").timeout(Duration::from_mins(1)).output().unwrap()
    }
}

/// Asserts the exit status of a run and returns its standard output and standard error.
#[track_caller]
pub(crate) fn printed(output: Output, status: i32) -> [String; 2] {
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(status), "{stdout}{stderr}");
    [stdout, stderr]
}
