//! Removes what killed runs left in docker and podman.

use std::cell::RefCell;
use std::time::Duration;

use crate::commands::clean::Summary;
use crate::commands::failure;
use crate::engine::docker::client;
use crate::engine::docker::remove::{Kind, Remover};
use crate::engine::{EngineError, EngineKind};
use crate::process::interrupt::Interrupt;
use crate::process::labels::RunId;
use crate::process::ledger::{EngineAt, Entry};

/// How long a daemon may still carry out a request of a killed client.
const DAEMON_SETTLES: Duration = Duration::from_mins(2);

/// The engines that ledgers name. Each is asked for its identity once.
pub(super) struct Engines<'a> {
    pub(super) interrupt: &'a Interrupt,
    asked: RefCell<Vec<(EngineAt, Result<(), String>)>>,
}

/// Returns the engine and the run of a container or a pod.
fn owner(entry: &Entry) -> Option<(&EngineAt, &RunId)> {
    match entry {
        Entry::Container { engine, run, .. } | Entry::Pod { engine, run, .. } => {
            Some((engine, run))
        }
        _ => None,
    }
}

fn name(entry: &Entry) -> Option<&str> {
    Kind::Pod.name(entry).or_else(|| Kind::Container.name(entry))
}

impl<'a> Engines<'a> {
    pub(super) fn new(interrupt: &'a Interrupt) -> Self {
        Self { interrupt, asked: RefCell::default() }
    }

    /// Fails if the client now reaches another engine, where a missing resource proves nothing.
    pub(super) fn is_the_same(&self, engine: &EngineAt) -> Result<(), EngineError> {
        let mut asked = self.asked.borrow_mut();
        let known = asked.iter().find(|(at, _)| at == engine).map(|(_, answer)| answer.clone());
        let answer = known.unwrap_or_else(|| {
            let answer = self
                .ask(engine)
                .map_err(|error| failure::message(&failure::with_next_step(engine.kind, error)));
            asked.push((engine.clone(), answer.clone()));
            answer
        });
        answer.map_err(EngineError::Script)
    }

    fn ask(&self, engine: &EngineAt) -> Result<(), EngineError> {
        let now = client::identity(engine, self.interrupt)?;
        if now == engine.identity {
            return Ok(());
        }
        let why =
            format!("it reaches engine {now}, but the ledger names engine {}", engine.identity);
        let next_step = "restore the client settings of the run (such as its current context), \
                         then run cargo xtask clean";
        let (kind, why) = (engine.kind, why.into());
        Err(EngineError::Unusable { kind, why, next_step: next_step.to_owned() })
    }

    /// Removes the pods and containers in a ledger of this age. Returns the entries that remain.
    pub(super) fn clean(
        &self,
        entries: &[Entry],
        age: Duration,
        summary: &mut Summary,
    ) -> Vec<Entry> {
        let mut left = Vec::new();
        let mut done: Vec<(&EngineAt, &RunId)> = Vec::new();
        for entry in entries {
            let Some((engine, run)) = owner(entry).filter(|it| !done.contains(it)) else {
                continue;
            };
            done.push((engine, run));
            let is_same = |it: &&Entry| owner(it) == Some((engine, run));
            let same: Vec<_> = entries.iter().filter(is_same).cloned().collect();
            let removed =
                self.is_the_same(engine).and_then(|()| self.remove(engine, run, &same, summary));
            match removed {
                Ok(missing) if !summary.dry_run => {
                    if age < DAEMON_SETTLES && !missing.is_empty() {
                        let names: Vec<_> = missing.iter().filter_map(name).collect();
                        summary.report(format_args!(
                            "{}: {} not found; a slow engine may still create it: run cargo xtask \
                             clean again in two minutes",
                            engine.program,
                            names.join(", ")
                        ));
                        left.extend(missing);
                    }
                }
                Ok(_) => left.extend(same),
                Err(error) => {
                    let error = failure::with_next_step(engine.kind, error);
                    summary.fail(format_args!("{}: {}", engine.program, failure::message(&error)));
                    left.extend(same);
                }
            }
        }
        left
    }

    /// Removes a run's pods, then its other containers. Returns the entries that were not found.
    fn remove(
        &self,
        engine: &EngineAt,
        run: &RunId,
        entries: &[Entry],
        summary: &mut Summary,
    ) -> Result<Vec<Entry>, EngineError> {
        let remover = Remover { at: engine, interrupt: self.interrupt.clone() };
        let mut missing = Vec::new();
        for (kind, what) in [(Kind::Pod, "pod"), (Kind::Container, "container")] {
            if kind == Kind::Pod && engine.kind != EngineKind::Podman {
                continue;
            }
            let names: Vec<_> = entries.iter().filter_map(|entry| kind.name(entry)).collect();
            if names.is_empty() {
                continue;
            }
            let found = remover.find(kind, run, &names)?;
            if !summary.dry_run {
                let found: Vec<_> = found.iter().map(String::as_str).collect();
                remover.named(kind, run, &found)?;
            }
            let is_missing = |entry: &&Entry| {
                kind.name(entry).is_some_and(|name| !found.iter().any(|it| it == name))
            };
            missing.extend(entries.iter().filter(is_missing).cloned());
            for name in found {
                let thing = format!("{what} {name}");
                summary.remove(&engine.program, thing, || Ok::<_, EngineError>(()));
            }
        }
        Ok(missing)
    }
}
