//! Signals and time limits. The first signal cancels the run, which then cleans up. The second
//! signal ends the program at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

/// The signal that cancels the run, and the time limit of its commands.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// The first signal, or 0.
    signal: Arc<AtomicI32>,
    limit: Option<Duration>,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP. Leaves ignored signals ignored, as nohup(1) needs.
    ///
    /// # Errors
    ///
    /// Fails if the handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        // A write beyond the file size limit (`ulimit -f`) then fails and does not kill us.
        flag::register(SIGXFSZ, Arc::default())?;
        let interrupt = Self::default();
        let mut signals = Signals::new(unignored_signals())?;
        let flag = interrupt.clone();
        thread::Builder::new().spawn(move || {
            for signal in signals.forever() {
                let first = &flag.signal;
                if first.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_err() {
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

    /// Returns a copy with the time limit that the user set, if any.
    pub(crate) fn with_limit(&self, limit: Option<Duration>) -> Self {
        Self { limit, ..self.clone() }
    }

    /// Returns a copy for a cleanup, which no signal interrupts.
    pub(crate) fn for_cleaning(&self) -> Self {
        Self::default().with_limit(self.limit)
    }

    /// Returns the time limit that the user set, or `default`.
    pub(crate) fn limit_or(&self, default: Duration) -> Duration {
        self.limit.unwrap_or(default)
    }

    /// Returns the signal that cancelled the run, if any.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// Returns the name of the signal that cancelled the run, if any.
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.signal().map(|signal| signal_name(signal).unwrap_or("a signal"))
    }
}

/// Returns the signals to catch: those that are not ignored, by `SigIgn` in `/proc/self/status`.
fn unignored_signals() -> impl Iterator<Item = i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    [SIGINT, SIGTERM, SIGHUP].into_iter().filter(move |signal| ignored >> (signal - 1) & 1 == 0)
}
