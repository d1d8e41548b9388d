//! Signals: the first one cancels the run, which then cleans up; the second one leaves at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, signal_name};

/// Whether the run is to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// The first signal; 0 while there was none.
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    ///
    /// # Errors
    ///
    /// Where the handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        let interrupt = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let flag = interrupt.clone();
        thread::spawn(move || {
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
        });
        Ok(interrupt)
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
