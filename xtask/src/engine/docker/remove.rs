//! Removing all that a run made.

use crate::engine::EngineError;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError, Transcript};
use crate::ledger::{RUN_LABEL, RunId};

const RM: [&str; 3] = ["rm", "--force", "--volumes"];

/// What removes: the engine's program, and how long each of its commands may take.
pub(super) struct Remover<'a> {
    pub(super) program: &'a str,
    pub(super) interrupt: Interrupt,
}

/// The ids in a listing. What is none never becomes an argument: an engine might take it for an
/// option.
pub(crate) fn ids(listing: &Transcript) -> Result<Vec<String>, EngineError> {
    let text = listing.text();
    if text.lines().all(|line| line.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(text.lines().map(str::to_owned).collect());
    }
    let (command, answer) = (listing.command_line(), listing.last_words());
    Err(EngineError::Unexpected { command, answer })
}

impl Remover<'_> {
    /// Removes the containers of `run`, and its pods where there are any; says how many containers
    /// that were. Those that are `known` to be there are removed at once, by name; then all are found
    /// by label, for one that was made by a command that failed is not known.
    pub(super) fn everything(
        &self,
        run: &RunId,
        known: &[String],
        pods: bool,
    ) -> Result<usize, EngineError> {
        let filter = format!("label={RUN_LABEL}={run}");
        if pods {
            let ps = ["pod", "ps", "--quiet", "--no-trunc", "--filter", &filter];
            for pod in ids(&self.find(&ps)?)? {
                // What is left of it is found below.
                self.invoke(&["pod", "rm", "--force", &pod])?;
            }
        }
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let mut removed = 0;
        if !known.is_empty() && self.invoke(&[&RM, &known[..]].concat())?.succeeded() {
            removed = known.len();
        }
        let find = || self.find(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let mut found = find()?;
        let last = loop {
            if !found.succeeded() {
                break found;
            }
            let ids = ids(&found)?;
            if ids.is_empty() {
                return Ok(removed);
            }
            let last = self.remove(&ids.iter().map(String::as_str).collect::<Vec<_>>())?;
            found = find()?;
            let left = found.text().lines().count();
            if left >= ids.len() {
                break last;
            }
            removed += ids.len() - left;
        };
        let what = "they could not be removed".to_owned();
        Err(EngineError::Refused { what, transcript: last })
    }

    /// Looks something up; twice where it fails, for what is not found stays.
    fn find(&self, ps: &[&str]) -> Result<Transcript, InvocationError> {
        let found = self.invoke(ps)?;
        if found.succeeded() { Ok(found) } else { self.invoke(ps) }
    }

    /// Removes containers, as many as can be: podman removes none of them where one is gone already
    /// or joined by another, so that each is tried alone then. Of those that were joined the joiners
    /// go.
    fn remove(&self, ids: &[&str]) -> Result<Transcript, InvocationError> {
        let mut last = self.invoke(&[&RM, ids].concat())?;
        if !last.succeeded() {
            for id in ids {
                last = self.invoke(&[&RM[..], &[id]].concat())?;
            }
        }
        Ok(last)
    }

    fn invoke(&self, args: &[&str]) -> Result<Transcript, InvocationError> {
        Invocation::new(self.program, args.iter().copied()).run(&self.interrupt)
    }
}
