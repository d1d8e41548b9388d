//! Removal of a run's containers and pods: the ledger names them, and their label has the run's id.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::client::{client, failed};
use crate::engine::EngineError;
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{InvocationError, Output};
use crate::process::labels::{RUN_LABEL, RunId};
use crate::process::ledger::{EngineAt, Entry, Ledger};
use crate::process::name::{CheckedName, Container, Id};

/// Attempts without progress, for example while another process removes the same container.
const MOST_ATTEMPTS: usize = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);

/// A kind of object to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A podman pod, with its containers.
    Pod,
    /// A container, with its anonymous volumes.
    Container,
}

impl Kind {
    /// Returns the name in a ledger entry of this kind, or `None` for other entries.
    pub(crate) fn name(self, entry: &Entry) -> Option<&str> {
        match (self, entry) {
            (Self::Pod, Entry::Pod { name, .. })
            | (Self::Container, Entry::Container { name, .. }) => Some(name),
            _ => None,
        }
    }

    fn inspect(self) -> [&'static str; 4] {
        match self {
            Self::Pod => ["pod", "inspect", "--format", "{{.ID}} {{.Name}} {{json .Labels}}"],
            Self::Container => {
                ["container", "inspect", "--format", "{{.Id}} {{.Name}} {{json .Config.Labels}}"]
            }
        }
    }

    fn list(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &["pod", "ps", "--format", "{{.Name}}"],
            Self::Container => &["ps", "--all", "--format", "{{.Names}}"],
        }
    }

    fn remove(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &["pod", "rm", "--force"],
            Self::Container => &["rm", "--force", "--volumes"],
        }
    }
}

/// An object with one of the names, as the engine describes it.
struct Named {
    id: CheckedName<Id>,
    name: String,
    is_ours: bool,
}

/// Removes containers and pods from an engine.
pub(crate) struct Remover<'a> {
    pub(crate) at: &'a EngineAt,
    pub(crate) interrupt: Interrupt,
}

impl Remover<'_> {
    /// Removes a run's containers and pods, and with `forget` also their ledger entries. Returns
    /// the number removed. Fails if something may be left; the ledger still names it then.
    pub(crate) fn everything(
        &self,
        run: &RunId,
        ledger: &Ledger,
        forget: bool,
    ) -> Result<usize, EngineError> {
        let entries = ledger.of_run(run);
        let mut removed = 0;
        for kind in [Kind::Pod, Kind::Container] {
            let names: Vec<_> = entries.iter().filter_map(|entry| kind.name(entry)).collect();
            removed += self.named(kind, run, &names)?;
            ledger.forget(|it| forget && it.run() == Some(run) && kind.name(it).is_some());
        }
        Ok(removed)
    }

    /// Removes the named containers or pods with the run's label. Returns the number removed. Fails
    /// if one may be left.
    pub(crate) fn named(
        &self,
        kind: Kind,
        run: &RunId,
        names: &[&str],
    ) -> Result<usize, EngineError> {
        if names.is_empty() {
            return Ok(0);
        }
        let (mut removed, mut attempts) = (0, 0);
        loop {
            let ours = self.proven(kind, run, names)?;
            let ids: Vec<_> = ours.iter().map(|it| &*it.id).collect();
            let last = self.remove(kind, &ids)?;
            let left = self.listed(kind, run, names)?;
            removed += ours.iter().filter(|it| !left.contains(&it.name)).count();
            if left.is_empty() {
                return Ok(removed);
            }
            // After progress, containers that others depended on can be removed.
            attempts = if left.len() < ours.len() { 0 } else { attempts + 1 };
            if attempts == MOST_ATTEMPTS {
                let names = left.join(", ");
                let what = format!("cannot remove {names}");
                return Err(match last {
                    Some(output) => failed(what, output).into(),
                    None => EngineError::Unexpected {
                        command: format!("{} inspect", self.at.program).into(),
                        answer: format!("no entry for {names}, although they are listed").into(),
                    },
                });
            }
            if attempts > 0 {
                thread::sleep(BETWEEN_ATTEMPTS);
            }
        }
    }

    /// Returns those of the names that exist and have the run's label.
    pub(crate) fn find(
        &self,
        kind: Kind,
        run: &RunId,
        names: &[&str],
    ) -> Result<Vec<String>, EngineError> {
        let there = self.proven(kind, run, names)?.into_iter().map(|it| it.name).collect();
        // An empty answer counts only if the engine can list at all.
        self.listed(kind, run, names).map(|_| there)
    }

    fn proven(&self, kind: Kind, run: &RunId, names: &[&str]) -> Result<Vec<Named>, EngineError> {
        let mut found = Vec::new();
        // Podman 4 describes only the first of several pods.
        let at_once = if kind == Kind::Pod { 1 } else { names.len() };
        for names in names.chunks(at_once.max(1)) {
            // The exit status is ignored: it is the same for a missing name and for a failure.
            let inspected = self.invoke(&[&kind.inspect()[..], names].concat())?;
            let lines = inspected.stdout.split(|byte| *byte == b'\n');
            found.extend(lines.filter_map(|line| named(line, run, names)));
        }
        found.retain(|it| it.is_ours);
        Ok(found)
    }

    /// Returns those of the names that a listing of the run's objects has. Ignores other names.
    fn listed(&self, kind: Kind, run: &RunId, names: &[&str]) -> Result<Vec<String>, EngineError> {
        let filter = format!("label={RUN_LABEL}={run}");
        let list = [kind.list(), &["--filter", &filter]].concat();
        let mut output = self.invoke(&list)?;
        if !output.succeeded() {
            // Retried once: objects that are not listed are not removed.
            output = self.invoke(&list)?;
        }
        if !output.succeeded() {
            return Err(failed("cannot list the remaining containers", output).into());
        }
        let text = output.text();
        let listed: Vec<_> =
            text.lines().flat_map(|line| line.fields(',').collect::<Vec<_>>()).collect();
        // Names of containers and pods, and docker's aliases of them. Output in another form does
        // not show which objects exist.
        if !listed.iter().all(|it| it.parse::<CheckedName<Container>>().is_ok()) {
            return Err(EngineError::unexpected(&output));
        }
        let is_listed = |name: &&&str| listed.iter().any(|it| it == *name);
        Ok(names.iter().filter(is_listed).map(|name| (*name).to_owned()).collect())
    }

    /// Removes as many of the ids as possible. If one is missing or others depend on it, Podman removes
    /// none. Each is then removed with a separate command.
    fn remove(&self, kind: Kind, ids: &[&str]) -> Result<Option<Output>, InvocationError> {
        if ids.is_empty() {
            return Ok(None);
        }
        let mut last = self.invoke(&[kind.remove(), ids].concat())?;
        if !last.succeeded() && ids.len() > 1 {
            for id in ids {
                last = self.invoke(&[kind.remove(), &[id]].concat())?;
            }
        }
        Ok(Some(last))
    }

    fn invoke(&self, args: &[&str]) -> Result<Output, InvocationError> {
        client(self.at, args.iter().copied()).run(&self.interrupt)
    }
}

/// Parses a line of `inspect`: id, name and labels. Returns `None` for lines about other names.
fn named(line: &[u8], run: &RunId, names: &[&str]) -> Option<Named> {
    let mut parts = str::from_utf8(line).ok()?.splitn(3, ' ');
    let (id, said, labels) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    let name = (*names.iter().find(|name| **name == said.trim_start_matches('/'))?).to_owned();
    let labels: Option<BTreeMap<String, String>> = serde_json::from_str(labels).ok()?;
    let label = labels.and_then(|mut labels| labels.remove(RUN_LABEL));
    Some(Named { id, name, is_ours: label == Some(run.to_string()) })
}
