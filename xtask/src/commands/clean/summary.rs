//! What cleaning up comes to, in lines.

use std::fmt::Display;

/// What was done, or would be, and what failed.
pub(super) struct Summary {
    dry_run: bool,
    lines: Vec<String>,
    failures: Vec<String>,
}

impl Summary {
    /// With `dry_run`, removals are only printed.
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, lines: Vec::new(), failures: Vec::new() }
    }

    /// Whether nothing is to be done.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Removes a thing and records that. Returns whether it is gone; `false` in a dry run.
    pub(super) fn remove<E: Display>(
        &mut self,
        place: &str,
        thing: impl Display,
        remove: impl FnOnce() -> Result<(), E>,
    ) -> bool {
        if self.dry_run {
            self.tell(format_args!("{place}: would remove {thing}"));
            return false;
        }
        match remove() {
            Ok(()) => self.tell(format_args!("{place}: removed {thing}")),
            Err(error) => {
                self.fail(format_args!("{place}: {thing}: {error}"));
                return false;
            }
        }
        true
    }

    /// Tells something else.
    pub(super) fn tell(&mut self, line: impl Display) {
        self.lines.push(line.to_string());
    }

    /// Notes that something could not be done.
    pub(super) fn fail(&mut self, why: impl Display) {
        let why = why.to_string();
        if !self.failures.contains(&why) {
            self.failures.push(why);
        }
    }

    /// The lines.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What could not be done.
    pub(super) fn failures(&self) -> &[String] {
        &self.failures
    }
}
