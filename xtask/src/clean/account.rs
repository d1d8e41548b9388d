//! What cleaning up comes to, in lines.

use std::fmt::Display;

/// What was done, or would be.
pub(super) struct Account {
    dry_run: bool,
    told: Vec<String>,
}

impl Account {
    /// With `dry_run` nothing is done, and told what would be.
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, told: Vec::new() }
    }

    /// Whether nothing is to be done.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Removes a thing, by `remove`, and tells that it did. What fails is not told.
    pub(super) fn remove<E>(
        &mut self,
        place: &str,
        thing: impl Display,
        remove: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if self.dry_run {
            self.tell(format_args!("{place}: would remove {thing}"));
            return Ok(());
        }
        remove()?;
        self.tell(format_args!("{place}: removed {thing}"));
        Ok(())
    }

    /// Tells something else.
    pub(super) fn tell(&mut self, line: impl Display) {
        self.told.push(line.to_string());
    }

    /// The lines.
    pub(super) fn told(&self) -> &[String] {
        &self.told
    }
}
