//! Commands of the client, for the engine that the ledger names.

use crate::engine::docker::failure::classify;
use crate::engine::{CommandFailure, EngineError, EngineKind};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};
use crate::process::ledger::EngineAt;
use crate::process::untrusted::Untrusted;

/// Returns a client command for the engine `at`, whatever engine the environment selects now.
pub(crate) fn client<'a>(at: &EngineAt, args: impl IntoIterator<Item = &'a str>) -> Invocation {
    let command = Invocation::new(&at.program, args);
    EngineAt::VARIABLES.iter().fold(command, |command, name| match at.environment.get(*name) {
        Some(value) => command.env(name, value.clone()),
        None => command.unset(name),
    })
}

/// Returns the error for a failed client command.
pub(crate) fn failed(what: impl Into<String>, output: Output) -> CommandFailure {
    CommandFailure::new(what, classify(&output), output)
}

/// Returns the engine that `program` connects to in the current environment. Fails as [`identity`].
pub(crate) fn current(
    kind: EngineKind,
    program: &str,
    interrupt: &Interrupt,
) -> Result<EngineAt, EngineError> {
    let at = EngineAt::current(kind, program, Untrusted::default());
    Ok(EngineAt { identity: identity(&at, interrupt)?, ..at })
}

/// Returns whether docker's daemon gives containers a user namespace (`--userns-remap`). Podman gives
/// them one only if an option asks for it. Fails if the daemon does not say.
pub(crate) fn remaps_users(at: &EngineAt, interrupt: &Interrupt) -> Result<bool, EngineError> {
    if at.kind != EngineKind::Docker {
        return Ok(false);
    }
    let output = client(at, ["info", "--format", "{{json .SecurityOptions}}"]).run(interrupt)?;
    // `null` for none.
    match serde_json::from_slice::<Option<Vec<String>>>(&output.stdout) {
        Ok(options) if output.succeeded() => {
            Ok(options.unwrap_or_default().iter().any(|option| option == "name=userns"))
        }
        _ => {
            let what = "cannot find out whether docker's daemon gives containers a user namespace";
            Err(failed(what, output).into())
        }
    }
}

/// Returns the current identity of the engine `at`: the daemon's id, or podman's host name and
/// storage folder. Fails if `info` does not identify the engine.
pub(crate) fn identity(at: &EngineAt, interrupt: &Interrupt) -> Result<Untrusted, EngineError> {
    let format = match at.kind {
        EngineKind::Podman => "{{.Host.Hostname}} {{.Store.GraphRoot}}",
        _ => "{{.ID}}",
    };
    let output = client(at, ["info", "--format", format]).run(interrupt)?;
    if !output.succeeded() || output.text().is_empty() {
        let what = format!("cannot identify the engine behind {}", at.program);
        return Err(failed(what, output).into());
    }
    Ok(output.text())
}
