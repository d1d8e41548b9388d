//! A container's process.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::engine::EngineError;
use crate::engine::observation::Identity;
use crate::process::invocation::{Background, Output};

/// A container's process, and the namespace that it brought.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) background: Background,
    pub(super) namespace: Identity,
    /// Those that it does not share with the host, as flags of nsenter.
    pub(super) own: Vec<&'static str>,
}

impl Process {
    /// Ends it as engines do: it is asked to, and killed where it does not listen for so long.
    pub(super) fn end(&self, signal: Signal, patience: Duration) -> Result<Output, EngineError> {
        self.background.signal(signal)?;
        // What is stopped hears nothing but a SIGKILL.
        self.background.signal(Signal::CONT)?;
        if self.background.wait(patience)?.is_none() {
            self.background.kill()?;
        }
        self.background.wait(Duration::ZERO)?.ok_or_else(|| {
            EngineError::Script(format!("process {} cannot be killed", self.background.pid()))
        })
    }
}

/// Whether a process has become the container's own: its namespaces and mounts are made by then.
pub(super) fn is_watching(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "shm_ls")
}
