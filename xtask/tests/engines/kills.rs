//! Faults at every step of a run, and kills at random moments. The run leaves nothing, or after a
//! SIGKILL only what `cargo xtask clean` removes; the next run is not disturbed by the cleanup.

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::Signal;
use shm_core::Key;
use shm_testkit::{Failed, Trial};
use xtask::engine::cleanup::CleanUp;
use xtask::engine::dist::Dist;
use xtask::engine::namespaces::Namespaces;
use xtask::engine::tool::Tools;
use xtask::engine::{EngineError, EngineInfo, EngineKind, StepOutcome, discover};
use xtask::judge::run;
use xtask::model::plan::Plan;
use xtask::process::interrupt::Interrupt;
use xtask::process::labels::random_number;
use xtask::process::ledger::Ledger;
use xtask::script::{Step, article};

use crate::fault_points::{Calls, Fault, FaultPoint, Tally, faults, name_of, spread};
use crate::interrupted::{Running, SOON};
use crate::isolated_env::{self, Inventory};
use crate::ledgers;
use crate::leftovers::nothing_left;
use crate::machine::{Body, Engine, Wrappers, by_driver, random_key, xtask};

/// How long an undisturbed run may take.
const WHOLE_RUN: Duration = Duration::from_mins(2);

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let everywhere: [(&str, Body); 4] = [
        ("kills::signals_at_every_step_leave_nothing", signals),
        ("kills::failing_calls_at_every_step_leave_nothing", failures),
        ("kills::clean_removes_what_kills_at_every_step_leave", kills_at_steps),
        ("kills::clean_removes_what_kills_at_random_moments_leave", kills_at_random),
    ];
    let namespaces: [(&str, Body); 3] = [
        ("kills::clean_removes_what_kills_of_a_matrix_leave_on_the_host", kills_of_a_matrix),
        ("kills::panics_at_every_step_leave_nothing", panics),
        ("kills::an_interruption_ends_a_hanging_start", hanging_start),
    ];
    let mut trials = Vec::new();
    for engine in by_driver(engines) {
        for (name, body) in everywhere {
            trials.push(if engine.has_containers() {
                engine.trial(name, body)
            } else {
                isolated_env::trial(engine, name, body)
            });
        }
        if !engine.has_containers() {
            trials.extend(namespaces.map(|(name, body)| isolated_env::trial(engine, name, body)));
            let name = "kills::closed_and_full_streams_leave_nothing";
            trials.push(isolated_env::trial(engine, name, streams));
        }
    }
    trials
}

/// The state before a run: on namespaces everything, on an engine the objects with a run's label.
enum Before<'a> {
    Environment(Inventory),
    Engine(&'a Engine),
}

impl<'a> Before<'a> {
    fn look(engine: &'a Engine) -> Self {
        if engine.has_containers() {
            Self::Engine(engine)
        } else {
            Self::Environment(Inventory::take())
        }
    }

    /// Fails if the run has left something.
    fn compare(&self) -> Result<(), Failed> {
        match self {
            Self::Environment(inventory) => inventory.compare(),
            Self::Engine(engine) => nothing_left(engine)?,
        }
        Ok(())
    }
}

/// Returns the number of calls of a whole run.
fn calls(engine: &Engine) -> Result<usize, Failed> {
    let calls = Calls::new(engine, None);
    engine.experiment().with(&calls.wrappers).report(0)?;
    Ok(calls.number())
}

fn signals(engine: &Engine) -> Result<(), Failed> {
    let mut tally = Tally::default();
    let points = spread(faults(engine), calls(engine)?);
    for (point, signal) in points.zip([Signal::INT, Signal::TERM, Signal::HUP].into_iter().cycle())
    {
        tally.add(&format!("{signal:?} at {point:?}"), || signal_at(engine, signal, point));
    }
    tally.finish(engine, "SIGINT, SIGTERM and SIGHUP at steps");
    Ok(())
}

fn signal_at(
    engine: &Engine,
    signal: Signal,
    point: FaultPoint,
) -> Result<Option<Duration>, Failed> {
    let before = Before::look(engine);
    let calls = Calls::new(engine, Some((Fault::Signal(signal), point)));
    let experiment = engine.experiment().with(&calls.wrappers);
    let running = Running::start(experiment.args(), &experiment.path())?;
    let output = running.output(WHOLE_RUN)?;
    let Some(time) = calls.since(point.call) else { return Ok(None) };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(signal.as_raw()), "{:?}: {stderr}", output.status);
    assert!(time < SOON, "the run went on for {time:?}");
    let said = format!("interrupted by SIG{}", name_of(signal));
    // After the last step there may be nothing left to interrupt.
    let is_over = String::from_utf8_lossy(&output.stdout).contains("34 steps and 3 conclusions");
    assert!(is_over || stderr.contains(&said), "{stderr}");
    before.compare()?;
    Ok(Some(time))
}

fn failures(engine: &Engine) -> Result<(), Failed> {
    let mut tally = Tally::default();
    // A fault of this kind replaces the call.
    for point in spread(faults(engine), calls(engine)?.div_ceil(2)) {
        let call = point.call * 2 - usize::from(point.end);
        let point = FaultPoint { call, end: false };
        tally.add(&format!("call {call}"), || failure_at(engine, point));
    }
    tally.finish(engine, "calls that fail");
    Ok(())
}

fn failure_at(engine: &Engine, point: FaultPoint) -> Result<Option<Duration>, Failed> {
    let before = Before::look(engine);
    let calls = Calls::new(engine, Some((Fault::Failure, point)));
    let experiment = engine.experiment().with(&calls.wrappers);
    let running = Running::start(experiment.args(), &experiment.path())?;
    let output = running.output(WHOLE_RUN)?;
    let Some(time) = calls.since(point.call) else { return Ok(None) };
    // Some calls are retried, and an image that cannot be found is built.
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ended = matches!(output.status.code(), Some(0..=2));
    assert!(ended, "{:?}: {stderr}", output.status);
    let is_explained = output.status.code() != Some(2) || stderr.contains("no more today");
    assert!(is_explained, "{stderr}");
    before.compare()?;
    Ok(Some(time))
}

fn kills_at_steps(engine: &Engine) -> Result<(), Failed> {
    let mut tally = Tally::default();
    for point in spread(faults(engine), calls(engine)?) {
        let calls = Calls::new(engine, Some((Fault::Signal(Signal::KILL), point)));
        let experiment = engine.experiment().with(&calls.wrappers);
        let kill = |_: &Running| Ok(());
        tally.add(&format!("{point:?}"), || {
            killed(engine, experiment.args(), &experiment.path(), kill)
        });
    }
    tally.finish(engine, "SIGKILL at steps");
    Ok(())
}

fn kills_at_random(engine: &Engine) -> Result<(), Failed> {
    let started = Instant::now();
    engine.experiment().report(0)?;
    let experiment = engine.experiment();
    let tally = kill_often(engine, &experiment.args(), &experiment.path(), started.elapsed());
    tally.finish(engine, "SIGKILL at random moments");
    Ok(())
}

/// Kills a matrix whose containers share the host's IPC namespace and can leave objects there.
fn kills_of_a_matrix(engine: &Engine) -> Result<(), Failed> {
    let matrix = ["matrix", "--engine", engine.name, "--only", "*/host"].map(str::to_owned);
    let path = env::var("PATH")?;
    let started = Instant::now();
    xtask().args(&matrix).output()?;
    let tally = kill_often(engine, &matrix, &path, started.elapsed());
    tally.finish(engine, "SIGKILL of a matrix at random moments");
    Ok(())
}

/// Kills runs at random moments within `whole` until enough were hit. A run that ended earlier does
/// not count and shortens `whole`: the first run may have taken longer, because it built the image.
fn kill_often(engine: &Engine, args: &[String], path: &str, mut whole: Duration) -> Tally {
    let (mut tally, mut missing) = (Tally::default(), faults(engine));
    for _ in 0..4 * missing {
        if missing == 0 {
            break;
        }
        let moment = random_part(whole);
        let injected = tally.add(&format!("after {moment:?}"), || {
            killed(engine, args.to_vec(), path, kill_after(moment))
        });
        if injected {
            missing -= 1;
        } else {
            whole = moment;
        }
    }
    tally
}

fn random_part(whole: Duration) -> Duration {
    whole * u32::try_from(random_number() & 0xffff).unwrap() / 0x1_0000
}

fn kill_after(moment: Duration) -> impl FnOnce(&Running) -> Result<(), Failed> {
    move |running| {
        thread::sleep(moment);
        running.signal(Signal::KILL)
    }
}

/// Kills a run, cleans up while the next run goes on, and fails if something is left.
fn killed(
    engine: &Engine,
    args: Vec<String>,
    path: &str,
    kill: impl FnOnce(&Running) -> Result<(), Failed>,
) -> Result<Option<Duration>, Failed> {
    let before = Before::look(engine);
    let running = Running::start(args, path)?;
    kill(&running)?;
    let was_killed = running.output(WHOLE_RUN)?.status.signal() == Some(Signal::KILL.as_raw());
    let next = engine.experiment();
    let next = Running::start(next.args(), &next.path())?;
    let started = Instant::now();
    let cleaned = xtask().arg("clean").output()?;
    let time = started.elapsed();
    let stderr = String::from_utf8_lossy(&cleaned.stderr);
    assert!(cleaned.status.success(), "clean: {stderr}");
    if engine.has_containers() {
        before.compare()?;
    }
    let output = next.output(WHOLE_RUN)?;
    assert!(output.status.success(), "the next run: {}", String::from_utf8_lossy(&output.stderr));
    before.compare()?;
    Ok(was_killed.then_some(time))
}

/// An engine that panics at one step.
struct Panicking {
    engine: Namespaces,
    steps: std::sync::atomic::AtomicUsize,
}

impl xtask::engine::Engine for Panicking {
    fn info(&self) -> &EngineInfo {
        self.engine.info()
    }

    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError> {
        let left = self.steps.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        assert_ne!(left, 0, "a defect at {step:?}");
        self.engine.execute_step(step)
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        self.engine.clean_up()
    }
}

fn panics(engine: &Engine) -> Result<(), Failed> {
    let key = Key::new(random_key()).ok_or("no key")?;
    let objects = key.into();
    let info = EngineInfo { name: EngineKind::Namespaces, ..discover::model().info };
    let interrupt = Interrupt::default();
    let plan = Plan::new(article::script(key, &[], "fresh"), info.rules())?;
    let mut tally = Tally::default();
    for step in 0..plan.steps().count() {
        let (interrupt, ledger) =
            (interrupt.clone(), Ledger::in_folder(ledgers::state().join("shm_experiment")));
        let tools = Tools { dist: Dist::existing(), objects, volume: None, interrupt, ledger };
        let panicking =
            Panicking { engine: Namespaces::new(info.clone(), false, tools), steps: step.into() };
        tally.add(&format!("step {step}"), || {
            let before = Inventory::take();
            let started = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let clean_up = CleanUp::new(&panicking, true);
                let done =
                    run::run(&plan, &panicking, &Interrupt::default(), &mut vec![], &mut |_| {});
                drop(clean_up);
                done
            }));
            assert!(outcome.is_err(), "no panic: {outcome:?}");
            before.compare();
            Ok(Some(started.elapsed()))
        });
    }
    tally.finish(engine, "panics");
    Ok(())
}

fn streams(engine: &Engine) {
    let args = engine.experiment().args().join(" ");
    let run = format!("{} {args}", env!("CARGO_BIN_EXE_xtask"));
    let cases = [
        ("a reader that closes standard output", into_closed(&format!("{run} 2>/dev/null")), 0),
        ("no standard output", format!("{run} >&-"), 0),
        ("no standard error", format!("{run} 2>&-"), 0),
        ("a reader that closes standard error", into_closed(&format!("{run} 2>&1 >/dev/null")), 0),
        ("a full disk", format!("{run} >/dev/full"), 2),
    ];
    let mut tally = Tally::default();
    for (what, script, status) in cases {
        tally.add(what, || {
            let before = Inventory::take();
            let started = Instant::now();
            let output = assert_cmd::Command::new("sh").args(["-c", &script]).output()?;
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{:?}: {stderr}", output.status);
            before.compare();
            Ok(Some(started.elapsed()))
        });
    }
    tally.finish(engine, "closed and full streams");
}

/// Returns a script that pipes the command to a closed reader and exits with the command's status.
fn into_closed(command: &str) -> String {
    format!("exit $( {{ {{ {command}; echo $? >&3; }} | true; }} 3>&1 )")
}

/// A container whose start hangs and which ignores every signal except SIGKILL.
fn hanging_start(engine: &Engine) -> Result<(), Failed> {
    let before = Inventory::take();
    let wrappers = Wrappers::new();
    let deaf = "case \"$*\" in *watch*) trap '' INT TERM HUP; echo deaf >";
    let script = format!("{deaf}{}; sleep 1000;; esac", wrappers.log_file().display());
    let wrappers = wrappers.wrap("unshare", &script);
    let running = Running::until(&engine.experiment().with(&wrappers), &wrappers, 1)?;
    running.signal(Signal::INT)?;
    // Less than the ten seconds that an engine gives a container to stop.
    let output = running.output(Duration::from_secs(6))?;
    assert_eq!(output.status.signal(), Some(2), "{:?}", output.status);
    before.compare();
    Ok(())
}
