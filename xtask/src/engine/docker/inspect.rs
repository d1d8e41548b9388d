//! What the engine, the kernel and a container itself say about the container.

use std::fs;
use std::time::Duration;

use serde::Deserialize;
use shm_core::IpcNamespace;
use shm_core::namespace::boot_id;

use crate::engine::EngineError;
use crate::engine::docker::client::failed;
use crate::engine::observation::{Identity, ReportedNamespace, State};
use crate::process::invocation::Output;
use crate::process::labels::{RUN_VARIABLE, RunId};
use crate::process::name::{Id, Name};
use crate::process::untrusted::Untrusted;

/// What to ask `inspect` for.
pub(super) const FORMAT: &str =
    "{{.State.Status}} {{.State.Pid}} {{.Id}} {{.State.ExitCode}} {{.State.OOMKilled}}";

/// What the engines call the states of a container; those between two states are none.
const STATES: [(&str, Option<State>); 11] = [
    ("running", Some(State::Running)),
    ("paused", Some(State::Paused)),
    ("exited", Some(State::Exited)),
    // What was never started, or is dead, is just as little there.
    ("created", Some(State::Exited)),
    ("dead", Some(State::Exited)),
    ("stopped", Some(State::Exited)),
    ("configured", Some(State::Exited)),
    ("initialized", Some(State::Exited)),
    ("restarting", None),
    ("removing", None),
    ("stopping", None),
];

/// A container at one moment.
#[derive(Debug)]
pub(super) struct Inspected {
    /// What it is; `None` while it is between two states.
    pub(super) state: Option<State>,
    /// The id of its process, on the engine's host.
    pub(super) pid: u32,
    id: Name<Id>,
    status: Untrusted,
    exit_code: Untrusted,
    /// Whether a process of it was killed for memory.
    out_of_memory: bool,
    output: Output,
}

/// Why nothing is said about the host.
pub(super) const ELSEWHERE: &str = "the containers run under another kernel than this program";

/// What `shm_ls --json` tells about the place where it runs.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) boot_id: Option<String>,
    ipc_namespace: Option<ReportedNamespace>,
}

/// Reads what `inspect` answered.
pub(super) fn read(output: &Output) -> Result<Inspected, EngineError> {
    if !output.succeeded() {
        let what = "the container is gone, or cannot be looked at";
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
    parse().ok_or_else(|| EngineError::Unexpected {
        command: output.command_line(),
        answer: output.stderr_tail(),
    })
}

impl Inspected {
    /// The error for a container that stays between two states.
    pub(super) fn unsettled(&self, name: &str, limit: Duration) -> EngineError {
        let seconds = limit.as_secs();
        let what = format!("container {name} was still {} after {seconds} s", self.status);
        failed(what, self.output.clone()).into()
    }

    /// How its process ended, in words.
    pub(super) fn end(&self) -> String {
        let killed = if self.out_of_memory { ", killed for memory" } else { "" };
        format!("its process ended with status {}{killed}", self.exit_code)
    }

    /// Whether its process is one of this machine: with a remote engine the id is that of some
    /// process there. The container's own carries our variable; a sandbox, whose kernel keeps that
    /// to itself, has the container's id as its last argument.
    pub(super) fn is_here(&self, run: &RunId) -> bool {
        let read = |file| fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let (environment, arguments) = (read("environ"), read("cmdline"));
        let variable = format!("{RUN_VARIABLE}={run}");
        let last = arguments.split(|byte| *byte == 0).rfind(|argument| !argument.is_empty());
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
            || last == Some(self.id.as_bytes())
    }
}

/// The namespace of a container, by its own word: what `shm_ls --json` printed in it.
pub(super) fn reported(printed: &[u8]) -> Identity {
    match serde_json::from_slice::<Report>(printed) {
        Ok(Report { boot_id: Some(theirs), .. }) if boot_id().is_some_and(|it| it != theirs) => {
            Identity::Foreign(ELSEWHERE.to_owned())
        }
        _ => reported_anywhere(printed).map_or_else(Identity::Unknown, Identity::Kernel),
    }
}

/// The namespace of a container that may run on another machine, by its own word; an error says why
/// that is none.
pub(in crate::engine) fn reported_anywhere(printed: &[u8]) -> Result<IpcNamespace, String> {
    let report: Report =
        serde_json::from_slice(printed).map_err(|_| "the container does not tell".to_owned())?;
    report.ipc_namespace.and_then(ReportedNamespace::identity).ok_or_else(|| {
        "the container's process is another user's and this kernel, older than 6.18, has no ids \
         that outlive a namespace; run as root"
            .to_owned()
    })
}
