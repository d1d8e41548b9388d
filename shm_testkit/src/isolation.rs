//! IPC, mount and pid namespaces of a trial's own.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use assert_cmd::Command;
use libtest_mimic::Failed;

use crate::repeat_counts;

/// Set for a test program that is started again for the body of a trial: the trial's name.
const TRIAL: &str = "SHM_TRIAL";

/// The trial whose body this program was started for.
pub(crate) fn trial() -> Option<String> {
    env::var(TRIAL).ok()
}

/// A program in IPC, mount and pid namespaces of its own, as root of them.
pub fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new("unshare");
    if Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() != 0) {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(program.into());
    command
}

/// Runs the body of a trial by a command that starts this program again; repeats what it has counted.
///
/// # Errors
///
/// If the command does not start or does not succeed, with what it printed.
pub fn run_body(mut command: Command, trial: &str) -> Result<(), Failed> {
    let output = command.env(TRIAL, trial).output()?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    repeat_counts(&printed);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{printed}", output.status).into())
}

/// Covers a folder with an empty tmpfs that has these options, of which there may be none.
///
/// # Panics
///
/// If that fails.
#[track_caller]
pub fn mount_tmpfs(folder: &str, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs"]);
    if !options.is_empty() {
        mount.args(["-o", options]);
    }
    mount.args(["none", folder]).assert().success();
}

/// Covers a file with another one.
///
/// # Panics
///
/// If that fails.
#[track_caller]
pub fn mount_over(file: &str, other: impl AsRef<Path>) {
    Command::new("mount").arg("--bind").arg(other.as_ref()).arg(file).assert().success();
}
