//! Programs that tests run: shells, compiled C programs, and copies for other users.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// Returns the path of a program in `PATH`, or `None` if it is not installed.
#[must_use]
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

/// Returns a shell command that runs `script` with `program` as `$0` and `arguments` after it.
pub fn shell(script: &str, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program).args(arguments);
    shell
}

/// Compiles a C program with warnings as errors.
#[track_caller]
pub fn compile(source: impl AsRef<Path>, program: impl AsRef<Path>, options: &[&str]) {
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-Werror"]).args(options);
    compiler.arg("-o").arg(program.as_ref()).arg(source.as_ref()).assert().success();
}

/// Options of `setpriv(1)` for an unprivileged user who owns no files.
pub const NOBODY: &str = "--reuid 65534 --regid 65534 --clear-groups";

/// Returns a command that runs a program as another user, given as options of `setpriv(1)`.
pub fn run_as(user: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(user.split(' ')).arg(program);
    command
}

/// A folder with copies of programs that every user may run. Other users may have no access to a
/// checkout.
#[derive(Debug)]
pub struct PublicFolder(TempDir);

impl PublicFolder {
    /// Creates an empty folder.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it creates a folder")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_public(folder.path());
        Self(folder)
    }

    /// Copies a program into the folder and returns the path of the copy.
    pub fn copy(&self, program: impl AsRef<Path>) -> PathBuf {
        let copy = self.0.path().join(program.as_ref().file_name().unwrap());
        fs::copy(program, &copy).unwrap();
        make_public(&copy);
        copy
    }
}

fn make_public(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
