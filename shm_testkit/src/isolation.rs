//! Private IPC, mount and PID namespaces for trials.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use libtest_mimic::Failed;

use crate::{COUNT, print_line};

/// The variable that tells a test program which trial to run, when it is started again for one.
pub(crate) const TRIAL: &str = "SHM_TRIAL";

/// Returns a command that runs a program as root in new IPC, mount and PID namespaces.
pub fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new("unshare");
    if Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() != 0) {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(program.into());
    command
}

/// Runs a trial's body with a command that starts this program again, and repeats its counts.
///
/// # Errors
///
/// If the command does not start or fails; the error contains what the command printed.
pub fn run_body(mut command: Command, trial: &str) -> Result<(), Failed> {
    let output = command.env(TRIAL, trial).output()?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    printed.lines().filter(|line| line.starts_with(COUNT)).for_each(print_line);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{printed}", output.status).into())
}

/// Returns a command that runs a program in a new user namespace with one line of `uid_map` and
/// `gid_map`, as a user and group of that namespace. Needs root.
pub fn in_user_namespace(map: &str, user: u32, program: impl Into<OsString>) -> Command {
    // The kernel takes a map only from outside, and only after the namespace exists.
    const SCRIPT: &str = "
        unshare --user sleep 60 >/dev/null 2>&1 &
        until echo \"$0\" >/proc/$!/uid_map; do sleep 0.01; done 2>/dev/null
        echo \"$0\" >/proc/$!/gid_map
        user=$1
        shift
        nsenter --target $! --user --setuid $user --setgid $user -- \"$@\"
        status=$?
        kill $!
        exit $status";
    let mut command = Command::new("sh");
    command.timeout(Duration::from_mins(1));
    command.args(["-c", SCRIPT, map, &user.to_string()]).arg(program.into());
    command
}

/// Mounts an empty tmpfs over a folder; `options` may be empty.
#[track_caller]
pub fn mount_tmpfs(folder: &str, options: &str) {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs"]);
    if !options.is_empty() {
        mount.args(["-o", options]);
    }
    mount.args(["none", folder]).assert().success();
}

/// Bind-mounts another file over a file.
#[track_caller]
pub fn mount_over(file: &str, other: impl AsRef<Path>) {
    Command::new("mount").arg("--bind").arg(other.as_ref()).arg(file).assert().success();
}
