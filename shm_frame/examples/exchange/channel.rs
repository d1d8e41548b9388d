//! What the mechanisms have in common: messages of one size there and back.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long the other side may take, to be there or to answer.
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

    /// Puts the next message into `message`; false where the other side is done.
    fn receive(&mut self, message: &mut Vec<u8>) -> Result<bool>;
}

/// Tries until it works, or nobody has been there for too long.
pub(crate) fn until_it_is_there<T, E: Error + 'static>(
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

/// Looks again and again until `look` has seen something, which it says.
pub(crate) fn look_until<T>(wait: Wait, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        // The clock is looked at seldom, for it costs as much as many looks, and the processor is given
        // away before others wait long for it.
        for _ in 0..50 {
            if let Some(seen) = look()? {
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
        // On a machine with too few processors for both, the other side may be waiting for ours.
        thread::yield_now();
    }
}
