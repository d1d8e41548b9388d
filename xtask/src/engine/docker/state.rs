//! What a container is, after something was done with it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Instant;

use shm_core::IpcNamespace;

use crate::engine::docker::client::failed;
use crate::engine::docker::inspect::{self, Inspected};
use crate::engine::docker::{Docker, LOOK_EVERY, PATIENCE};
use crate::engine::observation::{Identity, Observation, State};
use crate::engine::{EngineError, Kernels};
use crate::process::labels::RUN_LABEL;
use crate::process::poll::poll_until;
use crate::process::proc_stat::ProcStat;
use crate::script::Container;

impl Docker {
    /// Adds to the observation of a change what the container is after it.
    pub(super) fn look(
        &self,
        container: Container,
        changed: Observation,
    ) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let (state, looked) = self.settled(&name)?;
        if state != State::Running {
            let state = if state == State::Exited { self.ended(container) } else { state };
            return Ok(Observation { state: Some(state), ..changed });
        }
        let namespace = self.identify(&name, &looked);
        let stat = ProcStat::of(looked.pid).filter(|_| looked.is_here(&self.run));
        self.know(container, |known| {
            known.namespace = Some(namespace.clone());
            known.process = stat.map(|stat| (looked.pid, stat));
        });
        Ok(Observation { namespace: Some(namespace), state: Some(state), ..changed })
    }

    /// The state of a container that has ended, as the engine says: its process must have ended, too.
    fn ended(&self, container: Container) -> State {
        let Some((pid, stat)) = self.know(container, |known| known.process) else {
            return State::Exited;
        };
        // A signal does not end this wait: the process would pass for one that goes on.
        let interrupt = self.tools.interrupt.for_cleaning();
        let deadline = Instant::now() + interrupt.limit_or(PATIENCE);
        let ended = poll_until(LOOK_EVERY, deadline, &interrupt, || {
            let runs = ProcStat::of(pid).is_some_and(|it| it.started == stat.started && it.runs);
            Ok::<_, Infallible>((!runs).then_some(State::Exited))
        });
        let Ok(ended) = ended;
        ended.unwrap_or(State::Running)
    }

    pub(super) fn inspect(&self, name: &str) -> Result<Inspected, EngineError> {
        inspect::read(&self.invoke(&["inspect", "--format", inspect::FORMAT, name])?)
    }

    /// A container once it is no longer between two states.
    pub(super) fn settled(&self, name: &str) -> Result<(State, Inspected), EngineError> {
        let interrupt = &self.tools.interrupt;
        let limit = interrupt.limit_or(PATIENCE);
        let deadline = Instant::now() + limit;
        let mut looked = self.inspect(name)?;
        let settled = poll_until(LOOK_EVERY, deadline, interrupt, || {
            if looked.state.is_none() {
                looked = self.inspect(name)?;
            }
            Ok::<_, EngineError>(looked.state)
        })?;
        match settled {
            Some(state) => Ok((state, looked)),
            None => Err(looked.unsettled(name, limit)),
        }
    }

    /// The namespace of a container that runs: by its process, or else by its own word.
    pub(super) fn identify(&self, name: &str, looked: &Inspected) -> Identity {
        if self.info.kernels == Kernels::Own {
            return Identity::Foreign("it is that of the sandbox's own kernel".to_owned());
        }
        if looked.is_here(&self.run)
            && let Ok(namespace) = IpcNamespace::of_process(looked.pid)
        {
            return Identity::Kernel(namespace);
        }
        match self.invoke(&["exec", name, "shm_ls", "--json"]) {
            Ok(output) => inspect::reported(&output.stdout),
            Err(_) => Identity::Unknown("the container does not answer".to_owned()),
        }
    }

    /// Whether the containers turned out to run under another kernel than this program.
    pub(super) fn is_elsewhere(&self) -> bool {
        let elsewhere = Some(Identity::Foreign(inspect::ELSEWHERE.to_owned()));
        self.with_containers(|all| all.values().any(|known| known.namespace == elsewhere))
    }

    /// Asks which containers of the run run.
    pub(super) fn processes(&self) -> Result<Observation, EngineError> {
        let filter = format!("label={RUN_LABEL}={}", self.run);
        let args = ["ps", "--filter", &filter, "--format", "{{.Names}}\t{{.Status}}"];
        let output = self.invoke(&args)?;
        if !output.succeeded() {
            return Err(failed("the containers could not be listed", output).into());
        }
        let text = output.text();
        let names: BTreeSet<_> = text.lines().filter_map(|line| line.fields('\t').next()).collect();
        let running = self.with_containers(|containers| {
            let runs = |container: &Container| names.contains(&self.name(*container).into());
            containers.keys().copied().filter(runs).collect()
        });
        Ok(Observation { running: Some(running), ..output.into() })
    }
}
