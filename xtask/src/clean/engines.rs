//! What killed runs have left in docker and podman.

use super::summary::Summary;
use crate::engine::docker::client;
use crate::engine::docker::remove::{Kind, Remover};
use crate::engine::{EngineError, EngineKind};
use crate::interrupt::Interrupt;
use crate::labels::RunId;
use crate::ledger::{EngineAt, Entry};

/// Removes the pods and the containers that a ledger names; says which entries are left.
pub(super) fn clean(entries: &[Entry], interrupt: &Interrupt, summary: &mut Summary) -> Vec<Entry> {
    let mut left = Vec::new();
    let mut done: Vec<(&EngineAt, &RunId)> = Vec::new();
    for entry in entries {
        let (Entry::Container { engine, run, .. } | Entry::Pod { engine, run, .. }) = entry else {
            continue;
        };
        if done.contains(&(engine, run)) {
            continue;
        }
        done.push((engine, run));
        let of_both = |it: &&Entry| match it {
            Entry::Container { engine: at, run: of, .. }
            | Entry::Pod { engine: at, run: of, .. } => at == engine && of == run,
            _ => false,
        };
        let these: Vec<_> = entries.iter().filter(of_both).cloned().collect();
        match is_the_same(engine, interrupt)
            .and_then(|()| remove(engine, run, &these, interrupt, summary))
        {
            Ok(()) if !summary.is_dry_run() => {}
            Ok(()) => left.extend(these),
            Err(error) => {
                summary.fail(format_args!("{}: {error}", engine.program));
                left.extend(these);
            }
        }
    }
    left
}

/// Fails where the client talks to another engine by now: what it does not find may be on the other one.
pub(super) fn is_the_same(engine: &EngineAt, interrupt: &Interrupt) -> Result<(), EngineError> {
    let now = client::identity(engine, interrupt)?;
    if now == engine.identity {
        return Ok(());
    }
    let why = format!("it reaches engine {now}, but the ledger names engine {}", engine.identity);
    let next_step = "make the client reach that engine with the settings of the run (such as its \
                     current context), then cargo xtask clean";
    let (kind, why) = (engine.kind, why.into());
    Err(EngineError::Unusable { kind, why, next_step: next_step.to_owned() })
}

/// Removes what one run has left, pods first: with them go their containers.
fn remove(
    engine: &EngineAt,
    run: &RunId,
    entries: &[Entry],
    interrupt: &Interrupt,
    summary: &mut Summary,
) -> Result<(), EngineError> {
    let remover = Remover { at: engine, interrupt: interrupt.clone() };
    for (kind, what) in [(Kind::Pod, "pod"), (Kind::Container, "container")] {
        if kind == Kind::Pod && engine.kind != EngineKind::Podman {
            continue;
        }
        let names: Vec<_> = entries.iter().filter_map(|entry| kind.name(entry)).collect();
        if names.is_empty() {
            continue;
        }
        let found = remover.find(kind, run, &names)?;
        if !summary.is_dry_run() {
            let found: Vec<_> = found.iter().map(String::as_str).collect();
            remover.named(kind, run, &found)?;
        }
        for name in found {
            summary.remove(&engine.program, format_args!("{what} {name}"), || {
                Ok::<_, EngineError>(())
            });
        }
    }
    Ok(())
}
