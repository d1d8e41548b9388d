//! The signals that ask a program to stop, waited for without a thread and without a descriptor.

use std::time::Duration;

use crate::{Errno, sys};

const SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// SIGTERM, SIGINT and SIGHUP, held back until [`wait`](Self::wait) takes them. A process with id 1, which
/// would not get them otherwise, gets them too.
#[derive(Debug)]
pub struct StopSignals(());

impl StopSignals {
    /// Holds them back from the calling thread, and from those that it starts afterwards.
    #[must_use]
    pub fn hold() -> Self {
        sys::block_signals(&SIGNALS);
        Self(())
    }

    /// Waits for one of them, `limit` at most; returns whether one has come.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        loop {
            match sys::wait_for_signal(&SIGNALS, limit) {
                Ok(_) => return true,
                // Another signal was handled, or the process was stopped and goes on.
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}
