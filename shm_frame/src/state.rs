//! Whether a message is being written.

use serde::Serialize;

/// Whether a message is being written after the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteState {
    /// No message is being written.
    Idle,
    /// A writer has begun a message.
    UnderWay,
    /// A writer began a message and ended before it published it.
    Died,
    /// A message was begun. This process cannot find out whether its writer still runs: the semaphore
    /// is gone, or its mode forbids reading.
    Unknown,
}
