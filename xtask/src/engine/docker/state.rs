//! The state of a container after a command, or after a crash.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use shm_core::IpcNamespace;

use crate::engine::docker::client::failed;
use crate::engine::docker::inspect::{self, Inspected};
use crate::engine::docker::{Docker, LOOK_EVERY, PATIENCE};
use crate::engine::observation::{Identity, Observation, State};
use crate::engine::{EngineError, Kernels, StepOutcome, kill, with};
use crate::process::labels::RUN_LABEL;
use crate::process::poll::poll_until;
use crate::process::proc_stat::ProcStat;
use crate::script::Container;

impl Docker {
    /// Adds the container's state and namespace to the observation of a command.
    pub(super) fn with_state(
        &self,
        container: Container,
        changed: Observation,
    ) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let (state, inspected) = self.settled(&name)?;
        self.with_record(container, |known| {
            known.id = Some(inspected.id.clone());
            known.pid = (state == State::Running).then_some(inspected.pid);
        });
        if state != State::Running {
            let state = if state == State::Exited { self.ended(container) } else { state };
            return Ok(Observation { state: Some(state), ..changed });
        }
        let namespace = self.identify(&name, &inspected);
        let stat = ProcStat::of(inspected.pid).filter(|_| inspected.is_here(&self.run));
        self.with_record(container, |known| {
            known.namespace = Some(namespace.clone());
            known.process = stat.map(|stat| (inspected.pid, stat));
        });
        Ok(Observation { namespace: Some(namespace), state: Some(state), ..changed })
    }

    /// Waits for the process of an exited container. Returns `Running` if it does not end in time.
    fn ended(&self, container: Container) -> State {
        let Some((pid, stat)) = self.with_record(container, |known| known.process) else {
            return State::Exited;
        };
        // A signal must not end this wait: the result would be `Running`.
        let interrupt = self.tools.interrupt.for_cleaning();
        let deadline = Instant::now() + interrupt.limit_or(PATIENCE);
        let ended = poll_until(LOOK_EVERY, deadline, &interrupt, || {
            let runs = ProcStat::of(pid).is_some_and(|it| it.started == stat.started && it.runs);
            Ok::<_, Infallible>((!runs).then_some(State::Exited))
        });
        let Ok(ended) = ended;
        ended.unwrap_or(State::Running)
    }

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
        let output = kill("KILL", before.pid, killed.elapsed());
        Ok(StepOutcome::Observed(self.with_state(container, output.into())?))
    }

    pub(super) fn inspect(&self, name: &str) -> Result<Inspected, EngineError> {
        inspect::read(&self.invoke(&["inspect", "--format", inspect::FORMAT, name])?)
    }

    /// Waits until a container is no longer between two states. Returns its state.
    pub(super) fn settled(&self, name: &str) -> Result<(State, Inspected), EngineError> {
        let interrupt = &self.tools.interrupt;
        let limit = interrupt.limit_or(PATIENCE);
        let deadline = Instant::now() + limit;
        let mut inspected = self.inspect(name)?;
        let settled = poll_until(LOOK_EVERY, deadline, interrupt, || {
            if inspected.state.is_none() {
                inspected = self.inspect(name)?;
            }
            Ok::<_, EngineError>(inspected.state)
        })?;
        match settled {
            Some(state) => Ok((state, inspected)),
            None => Err(inspected.unsettled(name, limit)),
        }
    }

    /// Returns a running container's namespace, from its process or from `shm_ls` in it.
    pub(super) fn identify(&self, name: &str, inspected: &Inspected) -> Identity {
        if self.info.kernels == Kernels::Own {
            return Identity::Foreign("it belongs to the sandbox's own kernel".to_owned());
        }
        if inspected.is_here(&self.run)
            && let Ok(namespace) = IpcNamespace::of_process(inspected.pid)
        {
            return Identity::Kernel(namespace);
        }
        match self.invoke(&["exec", name, "shm_ls", "--json"]) {
            Ok(output) => inspect::reported(&output.stdout),
            Err(_) => Identity::Unknown("the container does not answer".to_owned()),
        }
    }

    /// Returns whether a container was found to run on another kernel than this program.
    pub(super) fn has_foreign_kernel(&self) -> bool {
        let foreign = Some(Identity::Foreign(inspect::FOREIGN_KERNEL.to_owned()));
        with(&self.containers, |all| all.values().any(|known| known.namespace == foreign))
    }

    /// Lists the running containers of the run.
    pub(super) fn processes(&self) -> Result<Observation, EngineError> {
        let filter = format!("label={RUN_LABEL}={}", self.run);
        let args = ["ps", "--filter", &filter, "--format", "{{.Names}}\t{{.Status}}"];
        let output = self.invoke(&args)?;
        if !output.succeeded() {
            return Err(failed("cannot list the containers", output).into());
        }
        let text = output.text();
        let names: BTreeSet<_> = text.lines().filter_map(|line| line.fields('\t').next()).collect();
        let running = with(&self.containers, |containers| {
            let runs = |container: &Container| names.contains(&self.name(*container).into());
            containers.keys().copied().filter(runs).collect()
        });
        Ok(Observation { running: Some(running), ..output.into() })
    }
}
