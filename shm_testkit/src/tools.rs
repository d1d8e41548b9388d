//! The three tools, built by cargo for the tests of packages that do not have them.
//!
//! They are built once, by the program that starts the trials; those find them by a variable.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use assert_cmd::Command;
use escargot::CargoBuild;
use escargot::format::Message;

/// The directory that has the tools.
const VARIABLE: &str = "SHM_TEST_TOOLS";

static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// The variables by which trials find the tools; builds them first.
pub fn environment() -> Vec<(&'static str, OsString)> {
    vec![(VARIABLE, DIRECTORY.get_or_init(build).clone().into())]
}

fn build() -> PathBuf {
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
    programs[0].parent().expect("a program in a directory").to_owned()
}

/// Where a tool is.
///
/// # Panics
///
/// Outside of trials, which have the variables of [`environment`].
#[must_use]
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(VARIABLE).expect("set for trials")).join(name)
}

/// A tool, which hangs in no trial.
#[must_use]
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.timeout(Duration::from_secs(20));
    command
}
