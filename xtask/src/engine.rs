//! Where scripts are carried out.

use serde::Serialize;

use self::observation::Observation;
use crate::process::invocation::Output;
use crate::process::name::{Name, Runtime};
use crate::process::untrusted::Untrusted;
use crate::script::{Action, Step};

pub use self::error::EngineError;
pub use self::failure::{CommandFailure, FailureKind};
pub use self::policy::{Kernels, Policy, Rules};
pub use crate::process::ledger::EngineKind;

pub mod cleanup;
pub mod discover;
pub mod dist;
pub mod docker;
mod error;
mod failure;
pub(crate) mod hints;
pub mod host;
pub mod image;
pub mod kubernetes;
pub mod namespaces;
pub mod observation;
mod policy;
pub mod tool;

/// Something that carries out steps.
pub trait Engine: Sync {
    /// What it is.
    fn info(&self) -> &EngineInfo;

    /// Whether this program is where the containers' host is: a container engine's host is in
    /// the initial IPC namespace, and this program may itself run in a container.
    fn is_on_this_host(&self) -> bool {
        true
    }

    /// Why the engine has no word for an action, whatever the machine; `None` where it has.
    fn unsupported_reason(&self, action: &Action) -> Option<&'static str> {
        let _ = action;
        None
    }

    /// The error that ends a run after a refusal that was not predicted.
    fn refused(&self, output: Output) -> EngineError {
        let what = format!("{} refused", self.info().name);
        CommandFailure::new(what, FailureKind::Rejected, output).into()
    }

    /// Carries out a step. Steps of one stage are carried out at the same time.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the step could not be done at all, so that what follows is void. A
    /// command in a container that fails is an answer, not an error.
    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError>;

    /// Removes all that carrying out steps has made; says how many things that were.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where something may be left.
    fn clean_up(&self) -> Result<usize, EngineError>;
}

/// Why an engine that is no cluster lacks what only clusters have.
const ONLY_CLUSTERS: &str = "only a cluster has pods that are made with all their containers";

/// What came of a step.
#[derive(Debug)]
pub enum StepOutcome {
    /// It was carried out.
    Observed(Observation),
    /// It has no meaning on this engine, and why.
    Skipped(String),
}

/// An engine in a report.
#[derive(Clone, Debug, Serialize)]
pub struct EngineInfo {
    /// The kind's name.
    pub name: EngineKind,
    /// Its version, in its own words.
    pub version: Untrusted,
    /// The kernel's release.
    pub kernel: Untrusted,
    /// The OCI runtime that was asked for; `None` leaves it to the engine.
    pub runtime: Option<Name<Runtime>>,
    /// Whose kernel the containers run on.
    pub kernels: Kernels,
    /// Why this engine was taken.
    pub chosen: Untrusted,
}

impl EngineInfo {
    /// What decides about shared memory there.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules { policy: self.name.policy(), kernels: self.kernels }
    }

    /// Its name, with the runtime where one was asked for.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.runtime {
            Some(runtime) => format!("{} with {runtime}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// The running kernel's release.
#[must_use]
pub fn kernel_release() -> Untrusted {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |release| release.trim().into())
}
