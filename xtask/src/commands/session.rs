//! What the runs of one command share: the detected engine, the tools, the image.

use std::path::PathBuf;

use anyhow::Result;
use shm_cli::DEFAULT_KEY;
use shm_core::Key;

use crate::commands::failure;
use crate::engine::discover::{Detected, Means};
use crate::engine::dist::Dist;
use crate::engine::docker::{Docker, client, probe};
use crate::engine::image::Image;
use crate::engine::kubernetes::Kubernetes;
use crate::engine::namespaces::Namespaces;
use crate::engine::tool::Tools;
use crate::engine::{Engine, EngineInfo, EngineKind};
use crate::model::Model;
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{EngineAt, Ledger};
use crate::script::Objects;

/// An engine with everything that its runs need.
#[derive(Debug)]
pub struct Session {
    /// The engine.
    pub info: EngineInfo,
    tools: Tools,
    ready: Ready,
}

#[derive(Debug)]
enum Ready {
    Model,
    Program(&'static str, EngineAt, Image),
    Namespaces(bool),
    Cluster(Box<Kubernetes>),
}

impl Session {
    /// Prepares an engine that runs the tools of `dist`, and records in `ledger` what it makes.
    ///
    /// # Errors
    ///
    /// Fails if a file of the image cannot be read, if the engine does not report its identity, or
    /// if the requested runtime cannot run the tools.
    pub fn open(
        found: Detected,
        dist: &Dist,
        base: &str,
        ledger: &Ledger,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut info = found.info;
        let tools = Tools { dist: dist.clone(), ..remote_tools(DEFAULT_KEY, ledger, interrupt) };
        let ready = match found.means {
            Means::Model => Ready::Model,
            Means::Cluster(cluster) => {
                Ready::Cluster(Box::new(Kubernetes::new(info.clone(), cluster, tools.clone())))
            }
            Means::Namespaces { user } => Ready::Namespaces(user),
            Means::Program(program) => {
                let advise = |error| failure::with_next_step(info.name, error);
                let image = Image::new(dist, base).map_err(advise)?;
                let at = client::current(info.name, program, interrupt).map_err(advise)?;
                info.remaps_users = client::remaps_users(&at, interrupt).map_err(advise)?;
                if info.runtime.is_some() {
                    info.kernels = probe::kernels(&info, &at, &image, ledger, interrupt)
                        .map_err(|error| failure::with_next_step(info.name, error))?;
                }
                Ready::Program(program, at, image)
            }
        };
        Ok(Self { info, tools, ready })
    }

    /// Returns the engine for one run. `objects` has the names of its shared memory; `volume` is
    /// the folder that its containers share.
    #[must_use]
    pub fn engine(&self, objects: Objects, volume: Option<PathBuf>) -> Box<dyn Engine> {
        let info = self.info.clone();
        let tools = Tools { objects, volume, ..self.tools.clone() };
        match &self.ready {
            Ready::Model => Box::new(Model::new(info, self.info.rules(), objects)),
            Ready::Program(program, at, image) => {
                Box::new(Docker::new(info, program, at.clone(), image.clone(), tools))
            }
            Ready::Namespaces(user) => Box::new(Namespaces::new(info, *user, tools)),
            // A pod does not see the folders of this host.
            Ready::Cluster(cluster) => Box::new(cluster.run(Tools { volume: None, ..tools })),
        }
    }

    /// Returns the cluster that all runs use, or `None` for another engine.
    pub(crate) fn cluster(&self) -> Option<&Kubernetes> {
        match &self.ready {
            Ready::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }
}

/// Builds the tools if any of these engines runs them on this machine.
pub(crate) fn tools_for(kinds: &[EngineKind], interrupt: &Interrupt) -> Result<Dist> {
    if kinds.iter().any(|kind| kind.is_local()) {
        Dist::current(interrupt)
    } else {
        Ok(Dist::existing())
    }
}

/// Returns the tools for an engine that runs nothing on this machine. They are not built.
pub(crate) fn remote_tools(key: Key, ledger: &Ledger, interrupt: &Interrupt) -> Tools {
    let (interrupt, ledger) = (interrupt.clone(), ledger.clone());
    Tools { dist: Dist::existing(), objects: Objects::from(key), volume: None, interrupt, ledger }
}
