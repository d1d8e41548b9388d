//! The client's commands, for the very engine that the ledger names.

use crate::engine::docker::failure::classify;
use crate::engine::{CommandFailure, EngineError, EngineKind};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};
use crate::process::ledger::EngineAt;
use crate::process::untrusted::Untrusted;

/// A command of the client that talks to the engine `at`, wherever the environment points by now.
pub(crate) fn client<'a>(at: &EngineAt, args: impl IntoIterator<Item = &'a str>) -> Invocation {
    let command = Invocation::new(&at.program, args);
    EngineAt::VARIABLES.iter().fold(command, |command, name| match at.environment.get(*name) {
        Some(value) => command.env(name, value.clone()),
        None => command.unset(name),
    })
}

/// The error for a command of the client that failed.
pub(crate) fn failed(what: impl Into<String>, output: Output) -> CommandFailure {
    CommandFailure::new(what, classify(&output), output)
}

/// The engine that `program` talks to now.
///
/// # Errors
///
/// [`EngineError::Failed`] where it does not say what it is.
pub(crate) fn current(
    kind: EngineKind,
    program: &str,
    interrupt: &Interrupt,
) -> Result<EngineAt, EngineError> {
    let at = EngineAt::current(kind, program, Untrusted::default());
    Ok(EngineAt { identity: identity(&at, interrupt)?, ..at })
}

/// What the engine at this place says of itself now: a daemon has an id, podman has the folder of its
/// containers on a host.
///
/// # Errors
///
/// [`EngineError::Failed`] where it does not say so.
pub(crate) fn identity(at: &EngineAt, interrupt: &Interrupt) -> Result<Untrusted, EngineError> {
    let format = match at.kind {
        EngineKind::Podman => "{{.Host.Hostname}} {{.Store.GraphRoot}}",
        _ => "{{.ID}}",
    };
    let output = client(at, ["info", "--format", format]).run(interrupt)?;
    if !output.succeeded() || output.text().is_empty() {
        let what = format!("{} does not say what it is", at.program);
        return Err(failed(what, output).into());
    }
    Ok(output.text())
}
