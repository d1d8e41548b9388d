//! The engines: they execute the steps of a script and return observations.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use self::observation::Observation;
use crate::process::invocation::Output;
use crate::process::name::{CheckedName, Runtime};
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

/// An engine for one run.
pub trait Engine: Sync {
    /// Returns the description of the engine for reports.
    fn info(&self) -> &EngineInfo;

    /// Returns whether this program runs in the IPC namespace of the containers' host.
    fn is_on_this_host(&self) -> bool {
        true
    }

    /// Returns why the engine cannot execute an action on any machine, or `None` where it can.
    fn unsupported_reason(&self, action: &Action) -> Option<&'static str> {
        let _ = action;
        None
    }

    /// Returns the error that ends a run after a refusal that was not predicted.
    fn refused(&self, output: Output) -> EngineError {
        let what = format!("{} refused a command", self.info().name);
        CommandFailure::new(what, FailureKind::Rejected, output).into()
    }

    /// Executes a step. Steps of one stage run concurrently.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where the step could not run, which makes the later steps meaningless. A
    /// failed command in a container is an observation, not an error.
    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError>;

    /// Removes everything that the steps created. Returns the number removed.
    ///
    /// # Errors
    ///
    /// [`EngineError`] where something may be left.
    fn clean_up(&self) -> Result<usize, EngineError>;
}

/// The reason for a step that needs Kubernetes, on other engines.
const ONLY_CLUSTERS: &str = "only Kubernetes creates a pod together with all its containers";

/// The result of a step.
#[derive(Debug)]
pub enum StepOutcome {
    /// The step ran.
    Observed(Observation),
    /// The step does not apply to this engine; holds the reason.
    Skipped(String),
}

/// An engine in a report.
#[derive(Clone, Debug, Serialize)]
pub struct EngineInfo {
    /// The kind of engine.
    pub name: EngineKind,
    /// The version, as the engine prints it.
    pub version: Untrusted,
    /// The kernel's release.
    pub kernel: Untrusted,
    /// The requested OCI runtime; `None` for the engine's default.
    pub runtime: Option<CheckedName<Runtime>>,
    /// Whether the containers share the host's kernel.
    pub kernels: Kernels,
    /// Whether the containers have a user namespace of their own (docker's `--userns-remap`).
    pub remaps_users: bool,
    /// Why this engine was selected.
    pub chosen: Untrusted,
}

impl EngineInfo {
    /// Returns the rules for shared memory on this engine.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let (policy, kernels, remaps_users) = (self.name.policy(), self.kernels, self.remaps_users);
        Rules { policy, kernels, remaps_users }
    }

    /// Returns the engine's name, with the requested runtime if there is one.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.runtime {
            Some(runtime) => format!("{} with {runtime}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// Returns the output of the `kill` command that would have sent the signal.
fn kill(signal: &str, pid: u32, duration: Duration) -> Output {
    let command = ["kill", "-s", signal, &pid.to_string()].map(str::to_owned).to_vec();
    Output::success(command, duration)
}

/// Accesses what a mutex protects. Ignores poisoning, because each change is complete at once.
fn with<M, T>(mutex: &Mutex<M>, access: impl FnOnce(&mut M) -> T) -> T {
    access(&mut mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the release of the running kernel, or `unknown`.
#[must_use]
pub fn kernel_release() -> Untrusted {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |release| release.trim().into())
}
