//! Cleanup after a run, also after a panic.

use crate::engine::{Engine, EngineError};
use crate::process::message;

/// A guard that cleans up after a run: on request, or else on drop, for example during a panic.
pub struct CleanUp<'a> {
    engine: &'a dyn Engine,
    wanted: bool,
}

impl<'a> CleanUp<'a> {
    /// Creates the guard for one run; does nothing unless `wanted`.
    #[must_use]
    pub fn new(engine: &'a dyn Engine, wanted: bool) -> Self {
        Self { engine, wanted }
    }

    /// Cleans up. Returns the number of objects removed.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::clean_up`].
    pub fn now(mut self) -> Result<usize, EngineError> {
        let wanted = std::mem::take(&mut self.wanted);
        if wanted { self.engine.clean_up() } else { Ok(0) }
    }
}

impl Drop for CleanUp<'_> {
    fn drop(&mut self) {
        if self.wanted
            && let Err(error) = self.engine.clean_up()
        {
            // The error cannot be returned from here.
            message(format_args!("error: {error}"));
        }
    }
}
