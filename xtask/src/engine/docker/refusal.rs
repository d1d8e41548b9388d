//! Tells a refusal from a failure by what the engine does, not by what it says: messages differ
//! between versions.
//!
//! The engine refuses a command if the client reports a failure, the container and its donor are as
//! before, the same command works on a control (a container with the same setting that shares
//! nothing, made at the same moment), and the command then fails again.

use std::sync::atomic::Ordering;

use crate::engine::docker::client::failed;
use crate::engine::docker::failure::classify;
use crate::engine::docker::remove::Kind;
use crate::engine::docker::{ContainerRecord, Docker, verb};
use crate::engine::observation::{Observation, State};
use crate::engine::{EngineError, FailureKind};
use crate::process::invocation::{InvocationError, Output};
use crate::process::ledger::Entry;
use crate::script::{Action, Container, RunOptions, Sharing};

impl Docker {
    /// Judges the failed command of an action; `again` repeats the command. Returns the state
    /// `Refused` for a refusal, and for what this machine does not support.
    ///
    /// Fails for every other failure. The error quotes the control if the control failed too.
    pub(super) fn refused(
        &self,
        container: Container,
        action: &Action,
        output: Output,
        again: impl Fn() -> Result<Output, EngineError>,
    ) -> Result<Observation, EngineError> {
        let doubt = self.doubt(container, action, &output, again);
        match doubt {
            Ok(None) => Ok(Observation { state: Some(State::Refused), ..output.into() }),
            Ok(Some(more)) => Err(self.failure(&more, output)),
            Err(EngineError::Invocation(interrupted @ InvocationError::Interrupted { .. })) => {
                Err(interrupted.into())
            }
            Err(error) => {
                let error = error.to_string();
                let first = error.lines().next().unwrap_or_default();
                let more = format!(", and it could not be checked whether it was refused: {first}");
                Err(self.failure(&more, output))
            }
        }
    }

    /// Returns why the failure of a command is not a refusal: more about the failure. Returns `None`
    /// for a refusal.
    fn doubt(
        &self,
        container: Container,
        action: &Action,
        output: &Output,
        again: impl Fn() -> Result<Output, EngineError>,
    ) -> Result<Option<String>, EngineError> {
        if let FailureKind::Unsupported(_) = classify(output) {
            return self.change_of(container, action);
        }
        let is_sandbox = self.with_record(container, |known| known.is_sandbox);
        let may_be_refused = !is_sandbox && is_answer(action, output);
        let Some(control) = control(action).filter(|_| may_be_refused) else {
            return Ok(Some(String::new()));
        };
        if let Some(change) = self.change_of(container, action)? {
            return Ok(Some(change));
        }
        if let Some(failed) = self.failed_control(container, action, control, output)? {
            return Ok(Some(failed));
        }
        let second = again()?;
        if !is_answer(action, &second) {
            let status = second.status();
            return Ok(Some(format!(", but not when it was repeated (exit status {status})")));
        }
        self.change_of(container, action)
    }

    /// Returns the error for a failed command, with more about the failure.
    fn failure(&self, more: &str, output: Output) -> EngineError {
        failed(format!("a {} command failed{more}", self.info.name), output).into()
    }

    /// Returns what differs from before at the container or at the donor of its namespace. Removes
    /// a container that the command created and did not start, which Docker keeps.
    fn change_of(
        &self,
        container: Container,
        action: &Action,
    ) -> Result<Option<String>, EngineError> {
        let record = |it| self.with_record(it, |known| known.clone());
        let (before, starts) =
            (record(container), matches!(action, Action::Start | Action::Restart));
        if let Some(donor) = before.options.and_then(|it| it.sharing.donor())
            && let Some(change) = self.change_since(donor, &record(donor), false)?
        {
            return Ok(Some(change));
        }
        self.change_since(container, &before, starts)
    }

    fn change_since(
        &self,
        container: Container,
        before: &ContainerRecord,
        starts: bool,
    ) -> Result<Option<String>, EngineError> {
        let (name, remover) = (self.name(container), self.remover());
        let is_there = !remover.find(Kind::Container, &self.run, &[&name])?.is_empty();
        if !is_there {
            return Ok(before.exists.then(|| format!(", but container {name} is gone")));
        }
        let (state, now) = self.settled(&name)?;
        if !before.exists && state == State::Exited {
            remover.named(Kind::Container, &self.run, &[&name])?;
            return Ok(None);
        }
        let is_as_before = before.exists
            && before.id.as_ref() == Some(&now.id)
            && match before.pid {
                _ if starts => state == State::Exited,
                Some(pid) => (state, now.pid) == (State::Running, pid),
                None => true,
            };
        let change = || format!(", but container {name} is not as before: {}", now.status);
        Ok((!is_as_before).then(change))
    }

    /// Returns how a control failed: the engine cannot execute the commands now. Removes the
    /// control.
    fn failed_control(
        &self,
        container: Container,
        action: &Action,
        create: &'static str,
        refused: &Output,
    ) -> Result<Option<String>, EngineError> {
        let name = format!("{}-control", self.name(container));
        let options = self.with_record(container, |known| known.options);
        let setting = options.and_then(|it| it.setting);
        let options = RunOptions { setting, ..Sharing::Default.into() };
        let args = self.creation(create, &name, options)?;
        let (engine, run) = (self.at.clone(), self.run.clone());
        self.tools.ledger.record(Entry::Container { engine, run, name: name.clone() })?;
        let made = self.make(&args);
        self.in_doubt.fetch_or(made.is_err(), Ordering::SeqCst);
        let mut done = made?;
        if done.succeeded()
            && let Some(verb) = verb(action)
        {
            done = self.invoke(&[verb, &[name.as_str()]].concat())?;
        }
        let mut works = done.succeeded();
        if works && *action != Action::Remove {
            works = self.settled(&name)?.0 == State::Running;
        }
        self.remover().named(Kind::Container, &self.run, &[&name])?;
        if works {
            return Ok(None);
        }
        let (command, status) = (done.command_line(), done.status());
        // Words that both printed are quoted once.
        let said: Vec<_> = refused.stderr_tail().lines().map(|it| it.to_string()).collect();
        let tail = done.stderr_tail();
        let own = tail.lines().map(|it| it.to_string()).filter(|it| !said.contains(it));
        let own = own.collect::<Vec<_>>().join("\n");
        Ok(Some(format!(
            ", and so did its control on a plain container: `{command}` ended with status \
             {status}{}{own}",
            if own.is_empty() { ", with the same words" } else { ": " }
        )))
    }
}

/// Returns the command that makes the control of an action; `None` if engines never refuse the
/// action. The control then gets the command of the action itself.
fn control(action: &Action) -> Option<&'static str> {
    match action {
        Action::Run(_) | Action::Remove => Some("run"),
        Action::Start | Action::Restart => Some("create"),
        _ => None,
    }
}

/// Returns whether a failed command's exit status is the answer of the engine. A client that was
/// killed by a signal has none. That of `run` is 125, or 126 and 127 if the runtime fails
/// (docker-run(1), podman-run(1)).
fn is_answer(action: &Action, output: &Output) -> bool {
    match (action, output.exit_code) {
        (Action::Run(_), Some(status)) => (125..=127).contains(&status),
        (_, Some(status)) => status != 0,
        (_, None) => false,
    }
}
