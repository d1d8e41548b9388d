//! A container's process.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::engine::EngineError;
use crate::engine::observation::Identity;
use crate::process::invocation::{Background, Output};

/// A container's process and its IPC namespace.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) background: Background,
    pub(super) namespace: Identity,
    /// The namespaces that it does not share with the host, as flags of nsenter.
    pub(super) own: Vec<&'static str>,
}

impl Process {
    /// Sends `signal`, as engines do, and SIGKILL if the process has not ended after `patience`.
    pub(super) fn end(&self, signal: Signal, patience: Duration) -> Result<Output, EngineError> {
        self.background.signal(signal)?;
        // A stopped process handles no signal but SIGKILL.
        self.background.signal(Signal::CONT)?;
        if self.background.wait(patience)?.is_none() {
            self.background.kill()?;
        }
        self.background.wait(Duration::ZERO)?.ok_or_else(|| {
            EngineError::Script(format!("cannot kill process {}", self.background.pid()))
        })
    }
}

/// Returns whether a process executes `shm_ls` now: its namespaces and mounts are ready then.
pub(super) fn is_watching(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "shm_ls")
}
