//! The state of a container, according to the engine, the kernel and the container itself.

use std::fs;
use std::time::Duration;

use shm_core::IpcNamespace;
use shm_core::namespace::boot_id;

use crate::engine::EngineError;
use crate::engine::docker::client::failed;
use crate::engine::observation::{Identity, ReportedNamespace, State, ToolReport};
use crate::process::invocation::Output;
use crate::process::labels::{RUN_VARIABLE, RunId};
use crate::process::name::{CheckedName, Id};
use crate::process::untrusted::Untrusted;

/// The format for `inspect`.
pub(super) const FORMAT: &str =
    "{{.State.Status}} {{.State.Pid}} {{.Id}} {{.State.ExitCode}} {{.State.OOMKilled}}";

/// The engines' names for the states of a container; `None` for a transition between two states.
const STATES: [(&str, Option<State>); 11] = [
    ("running", Some(State::Running)),
    ("paused", Some(State::Paused)),
    ("exited", Some(State::Exited)),
    // These have no process either.
    ("created", Some(State::Exited)),
    ("dead", Some(State::Exited)),
    ("stopped", Some(State::Exited)),
    ("configured", Some(State::Exited)),
    ("initialized", Some(State::Exited)),
    ("restarting", None),
    ("removing", None),
    ("stopping", None),
];

/// The answer of `inspect` for a container.
#[derive(Debug)]
pub(super) struct Inspected {
    /// The state, or `None` during a transition between two states.
    pub(super) state: Option<State>,
    /// The id of its process, on the engine's host.
    pub(super) pid: u32,
    pub(super) id: CheckedName<Id>,
    pub(super) status: Untrusted,
    exit_code: Untrusted,
    /// Whether the kernel's OOM killer killed a process of the container.
    out_of_memory: bool,
    output: Output,
}

/// Why namespaces are not compared with the host's.
pub(super) const FOREIGN_KERNEL: &str = "the containers run on another kernel than this program";

/// Parses the output of `inspect`.
pub(super) fn read(output: &Output) -> Result<Inspected, EngineError> {
    if !output.succeeded() {
        let what = "the container is gone or cannot be inspected";
        return Err(failed(what, output.clone()).into());
    }
    let answer = output.text();
    let parse = || {
        let fields: [Untrusted; 5] = answer.fields(' ').collect::<Vec<_>>().try_into().ok()?;
        let [status, pid, id, exit_code, killed] = fields;
        let (_, state) = STATES.into_iter().find(|(word, _)| status == *word)?;
        let (pid, id) = (pid.parse().ok()?, id.parse().ok()?);
        let (out_of_memory, output) = (killed == "true", output.clone());
        Some(Inspected { state, pid, id, status, exit_code, out_of_memory, output })
    };
    parse().ok_or_else(|| EngineError::unexpected(output))
}

impl Inspected {
    /// Returns the error for a container that stays between two states.
    pub(super) fn unsettled(&self, name: &str, limit: Duration) -> EngineError {
        let seconds = limit.as_secs();
        let what = format!("container {name} was still {} after {seconds} s", self.status);
        failed(what, self.output.clone()).into()
    }

    /// Returns how its process ended, as text.
    pub(super) fn end(&self) -> String {
        let killed = if self.out_of_memory { " (OOM-killed)" } else { "" };
        format!("its process ended with status {}{killed}", self.exit_code)
    }

    /// Returns whether its process runs on this machine: with a remote engine, the pid may be
    /// another process here. A container's process has our variable in its environment. A sandbox
    /// with its own kernel has the container's id as its last argument instead.
    pub(super) fn is_here(&self, run: &RunId) -> bool {
        let read = |file| fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let (environment, arguments) = (read("environ"), read("cmdline"));
        let variable = format!("{RUN_VARIABLE}={run}");
        let last = arguments.split(|byte| *byte == 0).rfind(|argument| !argument.is_empty());
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
            || last == Some(self.id.as_bytes())
    }
}

/// Returns the namespace that `shm_ls --json` printed in a container.
pub(super) fn reported(printed: &[u8]) -> Identity {
    match serde_json::from_slice::<ToolReport>(printed) {
        Ok(ToolReport { boot_id: Some(theirs), .. })
            if boot_id().is_some_and(|it| it != theirs) =>
        {
            Identity::Foreign(FOREIGN_KERNEL.to_owned())
        }
        _ => reported_anywhere(printed).map_or_else(Identity::Unknown, Identity::Kernel),
    }
}

/// Returns the namespace that `shm_ls --json` printed in a container, maybe on another machine. The
/// error is the reason why the output identifies no namespace.
pub(in crate::engine) fn reported_anywhere(printed: &[u8]) -> Result<IpcNamespace, String> {
    let report: ToolReport =
        serde_json::from_slice(printed).map_err(|_| "shm_ls printed no report there".to_owned())?;
    report.ipc_namespace.and_then(ReportedNamespace::identity).ok_or_else(|| {
        "the container's process belongs to another user, and this kernel, older than 6.18, gives \
         namespaces no unique ids; run as root"
            .to_owned()
    })
}
