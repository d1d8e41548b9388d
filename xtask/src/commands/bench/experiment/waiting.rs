//! How long a run waited for the engine.

use anyhow::{Context, Result};

/// What the notes about an engine's client come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waiting {
    /// How often it was started.
    pub starts: usize,
    /// How long at least one of it ran, in seconds.
    pub seconds: f64,
}

impl Waiting {
    /// Of notes: a line for each start, with the nanoseconds of its begin and its end.
    ///
    /// # Errors
    ///
    /// Where they are none.
    pub fn of(notes: &str) -> Result<Self> {
        let parse = |line: &str| -> Option<(u64, u64)> {
            let (begin, end) = line.split_once(' ')?;
            Some((begin.parse().ok()?, end.parse().ok()?))
        };
        let times = notes.lines().map(|line| parse(line).with_context(|| format!("{line:?}")));
        let mut times = times.collect::<Result<Vec<_>>>()?;
        times.sort_unstable();
        let (mut nanoseconds, mut until) = (0, 0);
        for (begin, end) in &times {
            nanoseconds += end.saturating_sub(until.max(*begin));
            until = until.max(*end);
        }
        let seconds = std::time::Duration::from_nanos(nanoseconds).as_secs_f64();
        Ok(Self { starts: times.len(), seconds })
    }
}
