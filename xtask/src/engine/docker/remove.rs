//! Removing all that a run made.

use crate::engine::EngineError;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, Transcript};
use crate::ledger::{RUN_LABEL, RunId};

/// Removes the containers of `run`, and its pods where there are any; says how many containers that
/// were. They are found by label, not by name: one that was made by a command that failed is too.
pub(super) fn everything(program: &str, run: &RunId, pods: bool) -> Result<usize, EngineError> {
    let filter = format!("label={RUN_LABEL}={run}");
    if pods {
        let found =
            invoke(program, &["pod", "ps", "--quiet", "--no-trunc", "--filter", &filter])?.text();
        for pod in found.lines() {
            // What is left of it is found below.
            invoke(program, &["pod", "rm", "--force", pod])?;
        }
    }
    let find = || {
        let args = ["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter];
        invoke(program, &args)
    };
    let mut found = find()?;
    let mut last = found.clone();
    let mut removed = 0;
    while found.succeeded() {
        let text = found.text();
        let ids: Vec<_> = text.lines().collect();
        if ids.is_empty() {
            return Ok(removed);
        }
        last = remove(program, &ids)?;
        found = find()?;
        let left = found.text().lines().count();
        if left >= ids.len() {
            break;
        }
        removed += ids.len() - left;
    }
    let what = format!("containers of run {run} may be left: cargo xtask clean");
    Err(EngineError::Refused { what, transcript: last })
}

/// Removes containers, as many as can be: podman removes none of them where one is gone already or
/// joined by another, so that each is tried alone then. Of those that were joined the joiners go.
fn remove(program: &str, ids: &[&str]) -> Result<Transcript, InvocationError> {
    let rm = ["rm", "--force", "--volumes"];
    let mut last = invoke(program, &[&rm, ids].concat())?;
    if !last.succeeded() {
        for id in ids {
            last = invoke(program, &[&rm[..], &[id]].concat())?;
        }
    }
    Ok(last)
}

/// Cleaning up is what an interruption asks for: it does not interrupt that.
fn invoke(program: &str, args: &[&str]) -> Result<Transcript, InvocationError> {
    Invocation::new(program, args.iter().copied()).run(&Interrupt::default())
}
