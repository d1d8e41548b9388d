//! A crash of a container: its process is killed without the engine.

use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::{Docker, LOOK_EVERY, PATIENCE};
use crate::engine::observation::State;
use crate::engine::{EngineError, StepOutcome};
use crate::process::invocation::Output;
use crate::process::poll::poll_until;
use crate::script::Container;

impl Docker {
    /// Kills the container's process without the engine, and waits for the restarted process.
    pub(super) fn crash(&self, container: Container) -> Result<StepOutcome, EngineError> {
        let name = self.name(container);
        let before = self.inspect(&name)?;
        let process = i32::try_from(before.pid).ok().and_then(Pid::from_raw);
        let Some(process) = process.filter(|_| before.is_here(&self.run)) else {
            let why = "this program cannot inspect the container's process: run it on the \
                       container's host, as root";
            return Ok(StepOutcome::Skipped(why.to_owned()));
        };
        if let Err(error) = kill_process(process, Signal::KILL) {
            return Ok(StepOutcome::Skipped(format!(
                "cannot kill the container's process: {error}"
            )));
        }
        let killed = Instant::now();
        let interrupt = &self.tools.interrupt;
        let deadline = killed + interrupt.limit_or(PATIENCE);
        poll_until(LOOK_EVERY, deadline, interrupt, || {
            let now = self.inspect(&name)?;
            let is_another = now.state == Some(State::Running) && now.pid != before.pid;
            Ok::<_, EngineError>(is_another.then_some(()))
        })?;
        let command = ["kill", "-s", "KILL", &before.pid.to_string()].map(str::to_owned).to_vec();
        let output = Output::success(command, killed.elapsed());
        Ok(StepOutcome::Observed(self.with_state(container, output.into())?))
    }
}
