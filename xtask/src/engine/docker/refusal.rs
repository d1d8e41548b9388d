//! Tells a refusal from a failure by what the engine does, not by what it says: messages differ
//! between versions.
//!
//! The engine refuses a command if the client reports a failure, the container is as before, the
//! same command works on a control (a plain container, made at the same moment), and the command
//! then fails again.

use std::sync::atomic::Ordering;

use crate::engine::docker::client::failed;
use crate::engine::docker::failure::classify;
use crate::engine::docker::remove::Kind;
use crate::engine::docker::{Docker, verb};
use crate::engine::observation::{Observation, State};
use crate::engine::{EngineError, FailureKind};
use crate::process::invocation::Output;
use crate::process::ledger::Entry;
use crate::script::{Action, Container, Sharing};

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
        let refused = |output: Output| Observation { state: Some(State::Refused), ..output.into() };
        if let FailureKind::Unsupported(_) = classify(&output) {
            return Ok(refused(output));
        }
        let is_sandbox = self.with_record(container, |known| known.is_sandbox);
        let may_be_refused = !is_sandbox && is_answer(action, &output);
        let Some(control) = control(action).filter(|_| may_be_refused) else {
            return Err(self.failure("", output));
        };
        self.ensure_unchanged(container, action, &output)?;
        self.ensure_works(container, action, control, &output)?;
        let second = again()?;
        if !is_answer(action, &second) {
            let status = second.status();
            let once = format!(", but not when it was repeated (exit status {status})");
            return Err(self.failure(&once, output));
        }
        self.ensure_unchanged(container, action, &output)?;
        Ok(refused(output))
    }

    /// Returns the error for a failed command, with more about the failure.
    fn failure(&self, more: &str, output: Output) -> EngineError {
        failed(format!("a {} command failed{more}", self.info.name), output).into()
    }

    /// Fails if the failed command has had an effect on the container. Removes a container that the
    /// command created and did not start, which Docker keeps.
    fn ensure_unchanged(
        &self,
        container: Container,
        action: &Action,
        output: &Output,
    ) -> Result<(), EngineError> {
        let (name, remover) = (self.name(container), self.remover());
        let before = self.with_record(container, |known| known.clone());
        let is_there = !remover.find(Kind::Container, &self.run, &[&name])?.is_empty();
        if !is_there {
            let gone = format!(", but container {name} is gone");
            return if before.exists { Err(self.failure(&gone, output.clone())) } else { Ok(()) };
        }
        let (state, now) = self.settled(&name)?;
        if !before.exists && state == State::Exited {
            return remover.named(Kind::Container, &self.run, &[&name]).map(drop);
        }
        let starts = matches!(action, Action::Start | Action::Restart);
        let is_as_before = before.exists
            && before.id.as_ref() == Some(&now.id)
            && match before.pid {
                _ if starts => state == State::Exited,
                Some(pid) => (state, now.pid) == (State::Running, pid),
                None => true,
            };
        if is_as_before {
            return Ok(());
        }
        let changed = format!(", but container {name} is not as before: {}", now.status);
        Err(self.failure(&changed, output.clone()))
    }

    /// Fails if the engine cannot execute the commands of a control now. Removes the control.
    fn ensure_works(
        &self,
        container: Container,
        action: &Action,
        create: &'static str,
        refused: &Output,
    ) -> Result<(), EngineError> {
        let name = format!("{}-control", self.name(container));
        let args = self.creation(create, &name, Sharing::Default.into())?;
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
            return Ok(());
        }
        let (command, status) = (done.command_line(), done.status());
        // Words that both printed are quoted once.
        let said: Vec<_> = refused.stderr_tail().lines().map(|it| it.to_string()).collect();
        let tail = done.stderr_tail();
        let own = tail.lines().map(|it| it.to_string()).filter(|it| !said.contains(it));
        let own = own.collect::<Vec<_>>().join("\n");
        let both = format!(
            ", and so did its control on a plain container: `{command}` ended with status \
             {status}{}{own}",
            if own.is_empty() { ", with the same words" } else { ": " }
        );
        Err(self.failure(&both, refused.clone()))
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
