//! The summary of a cleanup.

use std::fmt::Display;
use std::path::Path;

use crate::process::untrusted::Untrusted;

/// The lines and the failures of a cleanup.
#[derive(Default)]
pub(super) struct Summary {
    /// Whether removals are only printed.
    pub(super) dry_run: bool,
    pub(super) lines: Vec<String>,
    pub(super) failures: Vec<String>,
    /// The ledgers of engines that could not be asked.
    ledgers: Vec<Untrusted>,
}

impl Summary {
    /// Removes a resource and reports that. Returns whether it is gone; `false` in a dry run.
    pub(super) fn remove<E: Display>(
        &mut self,
        place: &str,
        thing: impl Display,
        remove: impl FnOnce() -> Result<(), E>,
    ) -> bool {
        if self.dry_run {
            self.report(format_args!("{place}: would remove {thing}"));
            return false;
        }
        match remove() {
            Ok(()) => self.report(format_args!("{place}: removed {thing}")),
            Err(error) => {
                self.fail(format_args!("{place}: {thing}: {error}"));
                return false;
            }
        }
        true
    }

    /// Adds a line.
    pub(super) fn report(&mut self, line: impl Display) {
        self.lines.push(line.to_string());
    }

    /// Adds a failure, unless it is a duplicate.
    pub(super) fn fail(&mut self, why: impl Display) {
        let why = why.to_string();
        if !self.failures.contains(&why) {
            self.failures.push(why);
        }
    }

    /// Records a ledger that stays because its engine failed.
    pub(super) fn keep_ledger(&mut self, path: &Path) {
        self.ledgers.push(Untrusted::path(path));
    }

    /// Returns the next step if a ledger stays because its engine failed, as a line of its own.
    pub(super) fn next_step(&self) -> Option<String> {
        let ledgers: Vec<_> = self.ledgers.iter().map(ToString::to_string).collect();
        (!ledgers.is_empty()).then(|| {
            format!(
                "\nnext step: run cargo xtask clean again once the engine answers; if it is gone for \
                 good, delete its ledger: {}",
                ledgers.join(" ")
            )
        })
    }
}
