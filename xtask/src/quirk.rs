//! Known differences from the model, each with a citation. A difference without one fails the run.

use crate::engine::EngineKind;
use crate::script::Mechanism;
use crate::script::matrix::{Cell, Event, Observer};

/// A known difference.
#[derive(Debug)]
pub struct Quirk {
    /// The engine that has it.
    pub engine: EngineKind,
    /// Which cells it may show in.
    pub applies: fn(&Cell) -> bool,
    /// What it is, and where that can be looked up.
    pub citation: &'static str,
}

/// All of them.
pub const QUIRKS: &[Quirk] = &[Quirk {
    engine: EngineKind::Podman,
    applies: restarted_tmpfs,
    citation: "podman starts a container that has just been killed, or that it restarts, on the \
               /dev/shm of before, unless the clean-up process of the old one has unmounted it by \
               then (libpod/container_internal.go, restartWithTimeout; conmon's exit command)",
}];

fn restarted_tmpfs(cell: &Cell) -> bool {
    let restarted = matches!(
        (cell.event, cell.observer),
        (Event::Restart | Event::KillStart, Observer::Own)
            | (Event::DonorRestarts, Observer::Donor)
    );
    restarted && cell.mechanism == Mechanism::Posix
}

/// The quirk that explains why a cell differs on an engine.
#[must_use]
pub fn of(engine: EngineKind, cell: &Cell) -> Option<&'static Quirk> {
    QUIRKS.iter().find(|quirk| quirk.engine == engine && (quirk.applies)(cell))
}
