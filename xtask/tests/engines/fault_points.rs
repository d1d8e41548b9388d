//! The points of a run at which a fault is injected: before and after each call of a program.
//!
//! Wrappers in `PATH` number the calls and inject the fault at one of them, so the speed of the
//! machine does not matter.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use shm_testkit::{Effort, Failed, count};
use xtask::process::labels::random_number;

use crate::machine::{Engine, Wrappers};

/// Returns how many faults a trial injects.
pub(crate) fn faults(engine: &Engine) -> usize {
    let effort = Effort::current();
    if engine.has_containers() { effort.kills_on_engines } else { effort.kills }
}

/// A fault of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The run gets a signal.
    Signal(Signal),
    /// The call fails with status 1 and a message.
    Failure,
}

/// The position of a fault in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FaultPoint {
    /// The number of the call, from 1.
    pub(crate) call: usize,
    /// After the call instead of before it.
    pub(crate) end: bool,
}

/// Returns `number` points, evenly spread over a run of `calls` calls; all points if `number` is
/// large enough.
pub(crate) fn spread(number: usize, calls: usize) -> impl Iterator<Item = FaultPoint> {
    let points = 2 * calls;
    let start = usize::try_from(random_number() & 0xffff).unwrap();
    // An odd stride selects both beginnings and ends.
    let stride = (points / number).max(1) | 1;
    let point = move |index| (start + index * stride) % points;
    (0..number).map(point).map(|at| FaultPoint { call: at / 2 + 1, end: at % 2 == 1 })
}

/// Wrappers that number the calls of a run on an engine.
pub(crate) struct Calls {
    pub(crate) wrappers: Wrappers,
}

impl Calls {
    /// Creates the wrappers, with a fault at a point or without one.
    pub(crate) fn new(engine: &Engine, fault: Option<(Fault, FaultPoint)>) -> Self {
        let programs: &[&str] =
            if engine.has_containers() { &[engine.name] } else { &["unshare", "nsenter", "lsns"] };
        let mut wrappers = Wrappers::new();
        for program in programs {
            let number = format!(
                "set -C; n=1; until {{ command : >{}/call.$n; }} 2>/dev/null; do n=$((n+1)); done",
                wrappers.path().display()
            );
            // unshare becomes the container's process, so the call does not return. Calls inside
            // the container do not count.
            let fault = fault.map_or_else(String::new, |(fault, point)| {
                script(fault, FaultPoint { end: point.end && *program != "unshare", ..point })
            });
            wrappers = wrappers.wrap(program, &format!("{number}\n{fault}"));
        }
        Self { wrappers }
    }

    /// Returns the number of calls so far.
    pub(crate) fn number(&self) -> usize {
        (1..1000).take_while(|call| self.file(*call).exists()).count()
    }

    fn file(&self, call: usize) -> std::path::PathBuf {
        self.wrappers.path().join(format!("call.{call}"))
    }

    /// Returns how long ago a call began, or `None` if it has not begun.
    pub(crate) fn since(&self, call: usize) -> Option<Duration> {
        let began = fs::metadata(self.file(call)).and_then(|file| file.modified()).ok()?;
        SystemTime::now().duration_since(began).ok()
    }
}

fn script(fault: Fault, point: FaultPoint) -> String {
    let action = match fault {
        Fault::Signal(signal) => format!("kill -s {} $PPID", name_of(signal)),
        Fault::Failure => "echo 'no more today' >&2; exit 1".to_owned(),
    };
    let (call, end) = (point.call, point.end);
    let to_its_end = if end { "\"$real\" \"$@\"; status=$?;" } else { "" };
    let exit = if end { "; exit $status" } else { "" };
    format!("[ $n = {call} ] && {{ {to_its_end} {action}{exit}; }}")
}

/// Returns the name that `kill` uses for a signal.
pub(crate) fn name_of(signal: Signal) -> &'static str {
    match signal {
        Signal::INT => "INT",
        Signal::TERM => "TERM",
        Signal::HUP => "HUP",
        _ => "KILL",
    }
}

/// The results of many faults of one kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    injected: usize,
    /// Faults that came too late: the run had ended.
    late: usize,
    slowest: Duration,
    failures: Vec<String>,
}

impl Tally {
    /// Injects one more fault and returns whether it was in time. `inject` returns how long the run
    /// continued after the fault, or `None` if it came too late; it fails by a panic or an error.
    pub(crate) fn add(
        &mut self,
        what: &str,
        inject: impl FnOnce() -> Result<Option<Duration>, Failed>,
    ) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(inject)).unwrap_or_else(|panic| {
            let literal = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
            let message = panic.downcast_ref::<String>().cloned().or(literal);
            Err(message.unwrap_or_default().into())
        });
        match outcome {
            Ok(None) => {
                self.late += 1;
                return false;
            }
            Ok(Some(time)) => self.slowest = self.slowest.max(time),
            Err(failed) => {
                self.failures.push(format!("{what}: {}", failed.message().unwrap_or("failed")));
            }
        }
        self.injected += 1;
        true
    }

    /// Prints the counts and checks them.
    ///
    /// # Panics
    ///
    /// If a run did not survive a fault, or no fault was injected.
    pub(crate) fn finish(self, engine: &Engine, what: &str) {
        let Self { injected, late, slowest, failures } = self;
        let failed = failures.len();
        count(
            &format!("{what} on {}", engine.name),
            &[
                (injected, "injected"),
                (injected - failed, "survived"),
                (failed, "left something or failed"),
                (late, "too late"),
                (usize::try_from(slowest.as_millis()).unwrap(), "ms to the slowest end"),
            ],
        );
        assert_ne!(injected, 0, "no fault was injected");
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
