//! Requirements of trials on the machine.

use std::collections::BTreeMap;
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assert_cmd::Command;

use crate::isolation;

/// The variable that lists the engines and programs that must not be missing.
const REQUIRED: &str = "SHM_REQUIRE_ENGINES";

/// A requirement of a trial on the machine. Where it is not met, the trial is ignored with the
/// reason, or fails if `SHM_REQUIRE_ENGINES` contains the requirement's name.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    what: &'static str,
    probe: Probe,
    required_by: Option<&'static str>,
}

/// How to test whether the requirement is met.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// With a shell command, in namespaces like the trial's.
    InTrial(&'static str),
    /// With a shell command, once in this program.
    Once(&'static str),
    /// With a function, which returns the reason if the requirement is not met.
    Function(fn() -> Result<(), String>),
}

impl Need {
    /// Requires a part of the system, tested by a shell command in namespaces like the trial's.
    #[must_use]
    pub const fn new(what: &'static str, command: &'static str) -> Self {
        Self { what, probe: Probe::InTrial(command), required_by: Some("namespaces") }
    }

    /// Requires an engine or program that `SHM_REQUIRE_ENGINES` may name, tested by a command.
    #[must_use]
    pub const fn engine(name: &'static str, command: &'static str) -> Self {
        Self { what: name, probe: Probe::Once(command), required_by: Some(name) }
    }

    /// Like [`Need::engine`], tested by a function that returns the reason if it is missing.
    #[must_use]
    pub const fn engine_found_by(name: &'static str, find: fn() -> Result<(), String>) -> Self {
        Self { what: name, probe: Probe::Function(find), required_by: Some(name) }
    }

    /// Makes the requirement optional: `SHM_REQUIRE_ENGINES` has no effect on it.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { required_by: None, ..self }
    }

    /// Tests the requirement, in namespaces like the trial's; fails with the reason.
    pub(crate) fn check(&self, isolated: bool) -> Result<(), String> {
        let found = match self.probe {
            Probe::InTrial(command) if isolated => run(isolation::command("sh"), command),
            Probe::InTrial(command) => run(Command::new("sh"), command),
            Probe::Once(command) => once(command),
            Probe::Function(find) => find(),
        };
        found.map_err(|reason| format!("needs {}: {reason}", self.what))
    }

    pub(crate) fn is_required(&self) -> bool {
        let required = env::var(REQUIRED).unwrap_or_default();
        self.required_by.is_some_and(|name| required.split(',').any(|it| it.trim() == name))
    }
}

fn run(mut shell: Command, command: &str) -> Result<(), String> {
    match shell.args(["-c", command]).timeout(Duration::from_mins(1)).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn once(command: &'static str) -> Result<(), String> {
    static ANSWERS: Mutex<BTreeMap<&str, Result<(), String>>> = Mutex::new(BTreeMap::new());
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.entry(command).or_insert_with(|| run(Command::new("sh"), command)).clone()
}

/// Namespaces for an isolated trial.
pub(crate) const NAMESPACES: Need = Need::new("private IPC, mount and pid namespaces", "true");

/// Writable limits.
pub const LIMITS: Need = Need::new(
    "writable kernel.shm* limits in a private IPC namespace",
    "cat /proc/sys/kernel/shmmni > /proc/sys/kernel/shmmni",
);
/// Permission to mount.
pub const MOUNTS: Need =
    Need::new("mounts in a private mount namespace", "mount -t tmpfs none /dev/shm");
/// Permission to run programs as another user.
pub const ANOTHER_USER: Need = Need::new(
    "another user id (root and setpriv)",
    "setpriv --reuid 65534 --regid 65534 --clear-groups true",
);
/// `ipcs(1)`.
pub const IPCS: Need = Need::new("ipcs of util-linux", "ipcs --version");
/// `cc`.
pub const COMPILER: Need = Need::new("a C compiler", "cc --version");
/// `script(1)`.
pub const TERMINAL: Need = Need::new("script of util-linux", "script -qec true /dev/null");
/// A kernel that can refuse to allocate memory.
pub const OVERCOMMIT: Need = Need::new(
    "a kernel that limits overcommit (vm.overcommit_memory is not 1)",
    "test $(cat /proc/sys/vm/overcommit_memory) != 1",
);
/// `strace(1)`.
pub const STRACE: Need = Need::new("strace", "strace -V");
/// `valgrind(1)`.
pub const VALGRIND: Need = Need::new("valgrind", "valgrind --version");
