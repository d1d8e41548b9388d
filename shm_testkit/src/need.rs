//! What trials need of the machine.

use std::collections::BTreeMap;
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assert_cmd::Command;

use crate::isolation;

/// The variable with the names of what must be there.
const REQUIRED: &str = "SHM_REQUIRE_ENGINES";

/// Something that a trial needs of the machine. Where it is missing the trial is ignored, with the reason, or fails if
/// `SHM_REQUIRE_ENGINES` has the name that requires it.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    what: &'static str,
    probe: Probe,
    required_by: Option<&'static str>,
}

/// How it is looked for.
#[derive(Clone, Copy, Debug)]
enum Probe {
    /// By a shell command, where the trial runs.
    There(&'static str),
    /// By a shell command, once in this program.
    Once(&'static str),
    /// By a function, which says why it is missing.
    Function(fn() -> Result<(), String>),
}

impl Need {
    /// A part of the system, which this shell command looks for in the namespaces of the trial.
    #[must_use]
    pub const fn new(what: &'static str, command: &'static str) -> Self {
        Self { what, probe: Probe::There(command), required_by: Some("namespaces") }
    }

    /// An engine or a program that `SHM_REQUIRE_ENGINES` may name, which this shell command looks for.
    #[must_use]
    pub const fn engine(name: &'static str, command: &'static str) -> Self {
        Self { what: name, probe: Probe::Once(command), required_by: Some(name) }
    }

    /// The same, found by a function that says why it is missing.
    #[must_use]
    pub const fn engine_found_by(name: &'static str, find: fn() -> Result<(), String>) -> Self {
        Self { what: name, probe: Probe::Function(find), required_by: Some(name) }
    }

    /// The same, which no variable requires.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { required_by: None, ..self }
    }

    /// Looks for it, in namespaces like those of the trial; fails with the reason.
    pub(crate) fn look(&self, isolated: bool) -> Result<(), String> {
        let found = match self.probe {
            Probe::There(command) if isolated => run(isolation::command("sh"), command),
            Probe::There(command) => run(Command::new("sh"), command),
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

/// Namespaces of a trial's own.
pub(crate) const NAMESPACES: Need = Need::new("private IPC, mount and pid namespaces", "true");

/// Limits that can be set.
pub const LIMITS: Need = Need::new(
    "writable kernel.shm* of a namespace of one's own",
    "cat /proc/sys/kernel/shmmni > /proc/sys/kernel/shmmni",
);
/// Mounts.
pub const MOUNTS: Need =
    Need::new("mounts in a namespace of one's own", "mount -t tmpfs none /dev/shm");
/// Programs that run as another user.
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
/// A kernel that may refuse memory.
pub const OVERCOMMIT: Need = Need::new(
    "a kernel that refuses to overcommit memory without bounds (vm.overcommit_memory)",
    "test $(cat /proc/sys/vm/overcommit_memory) != 1",
);
/// `strace(1)`.
pub const STRACE: Need = Need::new("strace", "strace -V");
/// `valgrind(1)`.
pub const VALGRIND: Need = Need::new("valgrind", "valgrind --version");
