//! Waiting for the signals that ask a program to stop, without a thread or a descriptor.

use std::time::Duration;

use crate::{Errno, sys};

const SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// SIGTERM, SIGINT and SIGHUP, blocked until [`wait`](Self::wait) accepts them. A process with id 1
/// receives them too; without this, the kernel would discard them.
#[derive(Debug)]
pub struct StopSignals(());

impl StopSignals {
    /// Blocks them in this thread and in threads that it starts later. `pthread_sigmask(3)`.
    #[must_use]
    pub fn hold() -> Self {
        sys::block_signals(&SIGNALS);
        Self(())
    }

    /// Waits for one of the signals, at most `limit`. Returns whether one came. `sigtimedwait(2)`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        loop {
            match sys::wait_for_signal(&SIGNALS, limit) {
                Ok(_) => return true,
                // The process handled another signal, or was stopped and continued.
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}
