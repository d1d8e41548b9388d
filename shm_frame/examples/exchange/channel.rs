//! The interface of the mechanisms: messages of one size in both directions.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The time limit for the other side to start or to answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_micros(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    Spin,
    Sleep,
    Block,
}

pub(crate) trait Channel {
    fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Receives the next message into `message`; returns false if the other side is done.
    fn receive(&mut self, message: &mut Vec<u8>) -> Result<bool>;
}

/// Calls `get` until it succeeds; returns its error after the time limit.
pub(crate) fn retry<T, E: Error + 'static>(
    get: impl Fn() -> std::result::Result<T, E>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match get() {
            Err(error) if start.elapsed() > LIMIT => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(5)),
            Ok(got) => return Ok(got),
        }
    }
}

/// Calls `poll` until it returns a value; fails after the time limit.
pub(crate) fn poll_until<T>(wait: Wait, mut poll: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        // Reading the clock costs as much as many polls, so it is read once for each 50 polls.
        for _ in 0..50 {
            if let Some(seen) = poll()? {
                return Ok(seen);
            }
            match wait {
                Wait::Sleep => thread::sleep(PAUSE),
                Wait::Spin | Wait::Block => std::hint::spin_loop(),
            }
        }
        if start.elapsed() > LIMIT {
            return Err("the other side does not answer".into());
        }
        // With too few processors, the other side may be waiting for this one.
        thread::yield_now();
    }
}
