//! Programs that tests start: shells, compiled C, and copies for other users.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// Where a program is, by `PATH`; `None` if it is not installed.
#[must_use]
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
}

/// A shell that runs `script` with `program` as `$0` and `arguments` behind it.
pub fn shell(script: &str, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program).args(arguments);
    shell
}

/// Compiles a C program, with all warnings as errors.
///
/// # Panics
///
/// If the compiler refuses it.
#[track_caller]
pub fn compile(source: impl AsRef<Path>, program: impl AsRef<Path>, options: &[&str]) {
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-Werror"]).args(options);
    compiler.arg("-o").arg(program.as_ref()).arg(source.as_ref()).assert().success();
}

/// A user who owns nothing, as options of `setpriv(1)`.
pub const NOBODY: &str = "--reuid 65534 --regid 65534 --clear-groups";

/// A run of a program as the user whom these options of `setpriv(1)` describe.
pub fn run_as(user: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(user.split(' ')).arg(program);
    command
}

/// A folder with copies of programs, which every user may run. The folders of a checkout may be closed to others.
#[derive(Debug)]
pub struct PublicFolder(TempDir);

impl PublicFolder {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_public(folder.path());
        Self(folder)
    }

    /// Copies a program into it; returns where the copy is.
    ///
    /// # Panics
    ///
    /// If that fails.
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
