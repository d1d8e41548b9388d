//! What ends a run before its end. Signals: the first one cancels it, and it cleans up; the second one
//! leaves at once. Time: a command has so much of it and no more.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

/// Whether the run is to end, and how long its commands may take.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// The first signal; 0 while there was none.
    signal: Arc<AtomicI32>,
    limit: Option<Duration>,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on. One that is ignored stays so, as nohup asks.
    ///
    /// # Errors
    ///
    /// Where the handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        // A file that reaches its limit (`ulimit -f`) is an error then, and not the end of this program.
        flag::register(SIGXFSZ, Arc::default())?;
        let interrupt = Self::default();
        let mut signals = Signals::new(unignored_signals())?;
        let flag = interrupt.clone();
        thread::Builder::new().spawn(move || {
            for signal in signals.forever() {
                if flag
                    .signal
                    .compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst)
                    .is_err()
                {
                    // Nothing can be done about a closed standard error.
                    let _ = writeln!(
                        io::stderr(),
                        "interrupted again: leaving at once. Containers and processes of this run \
                         may remain; `cargo xtask clean` removes them."
                    );
                    let _ = emulate_default_handler(signal);
                }
            }
        })?;
        Ok(interrupt)
    }

    /// The same, with the time that a step may take, where the user gave one.
    #[must_use]
    pub fn with_limit(&self, limit: Option<Duration>) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The same for cleaning up, which is what a signal asks for: none ends it.
    #[must_use]
    pub fn for_cleaning(&self) -> Self {
        Self::default().with_limit(self.limit)
    }

    /// How long something may take: what the user gave, or else `default`.
    #[must_use]
    pub fn limit_or(&self, default: Duration) -> Duration {
        self.limit.unwrap_or(default)
    }

    /// The signal that ends the run, if one came.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// The name of the signal that ends the run, if one came.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.signal().map(|signal| signal_name(signal).unwrap_or("a signal"))
    }
}

/// The signals to catch: those that were not ignored already, by the mask in `/proc/self/status`.
fn unignored_signals() -> impl Iterator<Item = i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(move |signal| ignored >> (signal - 1) & 1 == 0)
}
