//! Trials that need something of the machine: namespaces, another user, a terminal, a compiler.
//!
//! A trial in a private place is this program started again in an IPC, mount and pid namespace of
//! its own, so that its body may use the default key, set limits and mount things: all of it, and
//! whatever the trial started, is gone when it ends. Where a need is not met the trial is reported
//! as ignored with the reason, or as failed if `SHM_REQUIRE_ENGINES` has `namespaces` in it.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use assert_cmd::Command;
use libtest_mimic::{Arguments, Completion, Failed};

/// Set for the program that runs a trial's body in its private place.
const INSIDE: &str = "SHM_TRIAL_INSIDE";

/// Something that a trial needs, found out by a shell command that succeeds where it is there.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    what: &'static str,
    probe: &'static str,
}

impl Need {
    /// What is needed, and the command that looks for it.
    #[must_use]
    pub const fn new(what: &'static str, probe: &'static str) -> Self {
        Self { what, probe }
    }
}

/// Limits that can be set.
pub const LIMITS: Need = Need {
    what: "writable kernel.shm* of a namespace of one's own",
    probe: "cat /proc/sys/kernel/shmmni > /proc/sys/kernel/shmmni",
};
/// Mounts.
pub const MOUNTS: Need =
    Need { what: "mounts in a namespace of one's own", probe: "mount -t tmpfs none /dev/shm" };
/// Programs that run as another user.
pub const ANOTHER_USER: Need = Need {
    what: "another user id (root and setpriv)",
    probe: "setpriv --reuid 65534 --regid 65534 --clear-groups true",
};
/// `ipcs(1)`.
pub const IPCS: Need = Need { what: "ipcs of util-linux", probe: "ipcs --version" };
/// `cc`.
pub const COMPILER: Need = Need { what: "a C compiler", probe: "cc --version" };
/// `script(1)`.
pub const TERMINAL: Need =
    Need { what: "script of util-linux", probe: "script -qec true /dev/null" };
/// A kernel that may refuse memory.
pub const OVERCOMMIT: Need = Need {
    what: "a kernel that refuses to overcommit memory without bounds (vm.overcommit_memory)",
    probe: "test $(cat /proc/sys/vm/overcommit_memory) != 1",
};
const PRIVATE_PLACE: Need = Need { what: "private IPC, mount and pid namespaces", probe: "true" };

/// A trial by its name, with what it needs and what it does.
#[derive(Debug)]
pub struct Trial {
    name: &'static str,
    needs: &'static [Need],
    /// Whether its body runs in namespaces of its own.
    private: bool,
    body: fn(),
}

impl Trial {
    /// A trial whose body runs in this program.
    #[must_use]
    pub const fn here(name: &'static str, needs: &'static [Need], body: fn()) -> Self {
        Self { name, needs, private: false, body }
    }

    /// A trial whose body runs in namespaces of its own.
    #[must_use]
    pub const fn private(name: &'static str, needs: &'static [Need], body: fn()) -> Self {
        Self { name, needs, private: true, body }
    }

    fn run(
        &self,
        environment: fn() -> Vec<(&'static str, OsString)>,
    ) -> Result<Completion, Failed> {
        let place = self.private.then_some(&PRIVATE_PLACE);
        for need in place.into_iter().chain(self.needs) {
            if let Err(reason) = self.look_for(need) {
                let engines = env::var("SHM_REQUIRE_ENGINES").unwrap_or_default();
                return if engines.split(',').any(|engine| engine.trim() == "namespaces") {
                    Err(reason.into())
                } else {
                    Ok(Completion::ignored_with(reason))
                };
            }
        }
        if !self.private {
            (self.body)();
            return Ok(Completion::Completed);
        }
        let output = private(env::current_exe()?)
            .env(INSIDE, self.name)
            .envs(environment())
            .timeout(Duration::from_mins(1))
            .output()?;
        if output.status.success() {
            return Ok(Completion::Completed);
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&said)).into())
    }

    fn look_for(&self, need: &Need) -> Result<(), String> {
        let mut probe = if self.private { private("sh") } else { Command::new("sh") };
        let reason = match probe.args(["-c", need.probe]).output() {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Err(format!("needs {}: {reason}", need.what))
    }
}

/// A program in IPC, mount and pid namespaces of its own, as root of them.
pub fn private(program: impl Into<OsString>) -> Command {
    let mut command = Command::new("unshare");
    if Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() != 0) {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(program.into());
    command
}

/// Runs the trials that the command line asks for, or the body of one that was sent inside, with
/// the variables that all of them get there.
///
/// # Panics
///
/// If this program has no trial of the name that it was sent inside for.
pub fn main(trials: Vec<Trial>, environment: fn() -> Vec<(&'static str, OsString)>) -> ExitCode {
    if let Ok(name) = env::var(INSIDE) {
        let trial =
            trials.iter().find(|trial| trial.name == name).expect("a trial of this program");
        (trial.body)();
        return ExitCode::SUCCESS;
    }
    let trials = trials
        .into_iter()
        .map(|trial| {
            libtest_mimic::Trial::ignorable_test(trial.name, move || trial.run(environment))
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
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

/// Trials named after their functions: `trials![Trial::private, &[LIMITS] => one, two; ...]`.
#[macro_export]
macro_rules! trials {
    ($($place:path, $needs:expr => $($name:ident),+ $(,)?;)+) => {
        vec![$($($place(stringify!($name), $needs, $name),)+)+]
    };
}
