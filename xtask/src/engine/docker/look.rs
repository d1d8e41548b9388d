//! What a container is, after something was done with it.

use std::thread;
use std::time::Instant;

use shm_core::IpcNamespace;

use super::inspect::{self, Looked};
use super::{Docker, LOOK_EVERY, PATIENCE};
use crate::engine::{EngineError, Kernels};
use crate::observation::{Identity, Observation, State};
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
            return Ok(Observation { state: Some(state), ..changed });
        }
        let namespace = self.identify(&name, &looked);
        self.know(container, |known| known.namespace = Some(namespace.clone()));
        Ok(Observation { namespace: Some(namespace), state: Some(state), ..changed })
    }

    pub(super) fn inspect(&self, name: &str) -> Result<Looked, EngineError> {
        inspect::read(&self.invoke(&["inspect", "--format", inspect::FORMAT, name])?)
    }

    /// A container once it is no longer between two states.
    pub(super) fn settled(&self, name: &str) -> Result<(State, Looked), EngineError> {
        let (started, limit) = (Instant::now(), self.tools.interrupt.limit_or(PATIENCE));
        loop {
            let looked = self.inspect(name)?;
            match looked.state {
                Some(state) => return Ok((state, looked)),
                None if started.elapsed() > limit => return Err(looked.unsettled(name, limit)),
                None => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// The namespace of a container that runs: by its process, or else by its own word.
    pub(super) fn identify(&self, name: &str, looked: &Looked) -> Identity {
        if self.info.kernels == Kernels::Own {
            return Identity::Foreign("it is that of the sandbox's own kernel".to_owned());
        }
        if looked.is_here(&self.run)
            && let Ok(namespace) = IpcNamespace::of_process(looked.pid)
        {
            return Identity::Kernel(namespace);
        }
        match self.invoke(&["exec", name, "shm_ls", "--json"]) {
            Ok(transcript) => inspect::reported(&transcript.stdout),
            Err(_) => Identity::Unknown("the container does not answer".to_owned()),
        }
    }

    /// Whether the containers turned out to run under another kernel than this program.
    pub(super) fn is_elsewhere(&self) -> bool {
        let elsewhere = Some(Identity::Foreign(inspect::ELSEWHERE.to_owned()));
        self.with_containers(|all| all.values().any(|known| known.namespace == elsewhere))
    }
}
