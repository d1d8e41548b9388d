//! The three tools, built with cargo for tests of packages that do not contain them.
//!
//! The suite of a test program builds them once, and isolated trials find them through a variable.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use assert_cmd::Command;
use escargot::CargoBuild;
use escargot::format::Message;

/// The variable that holds the directory of the tools.
const VARIABLE: &str = "SHM_TEST_TOOLS";

/// Builds the tools and returns the variables with which trials find them.
#[must_use]
pub fn environment() -> Vec<(&'static str, OsString)> {
    let messages = CargoBuild::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .args(["--package", "shm_wr", "--package", "shm_rd", "--package", "shm_ls"])
        .bins()
        .current_release()
        .exec()
        .expect("cargo starts");
    let mut programs = Vec::new();
    for message in messages {
        let message = message.expect("cargo builds the tools");
        if let Message::CompilerArtifact(artifact) = message.decode().expect("a message of cargo") {
            programs.extend(artifact.executable.map(PathBuf::from));
        }
    }
    assert_eq!(programs.len(), 3, "{programs:?}");
    let directory = programs[0].parent().expect("a program in a directory");
    vec![(VARIABLE, directory.into())]
}

/// Returns the path of a tool, in an isolated trial, which has the variables of [`environment`].
#[must_use]
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(VARIABLE).expect("isolated trials have this variable")).join(name)
}

/// Returns a command that runs a tool with a time limit of 20 seconds.
#[must_use]
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.timeout(Duration::from_secs(20));
    command
}
