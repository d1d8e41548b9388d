//! Removing what an engine made, whatever happens.

use crate::engine::{Engine, EngineError};
use crate::process::message::message;

/// Cleans up after a run: when it is told to, or else when it is dropped, as by a panic.
pub struct CleanUp<'a> {
    engine: &'a dyn Engine,
    wanted: bool,
}

impl<'a> CleanUp<'a> {
    /// For one run; unless `wanted`, everything stays.
    #[must_use]
    pub fn new(engine: &'a dyn Engine, wanted: bool) -> Self {
        Self { engine, wanted }
    }

    /// Cleans up; says how many things were removed.
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
            // A panic is under way, whose message comes first; nothing more can be done here.
            message(format_args!("error: {error}"));
        }
    }
}
