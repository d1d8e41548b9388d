//! The summary of a cleanup.

use std::fmt::Display;

/// The lines and the failures of a cleanup.
pub(super) struct Summary {
    dry_run: bool,
    lines: Vec<String>,
    failures: Vec<String>,
}

impl Summary {
    /// Creates an empty summary. With `dry_run`, removals are only printed.
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, lines: Vec::new(), failures: Vec::new() }
    }

    /// Returns whether nothing may be removed.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

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

    /// Returns the lines.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns the failures.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }
}
