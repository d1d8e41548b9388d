//! Signals at many points of a run: it ends soon, by the signal, and leaves nothing.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shm_core::{Key, Segment};
use shm_testkit::{Failed, Trial};

use crate::ledgers;
use crate::leftovers::nothing_left;
use crate::machine::{Engine, Experiment, Wrappers, by_driver, xtask};

/// Two seconds, plus the time to remove two containers on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(12);

pub(crate) fn trials(engines: &'static [Engine]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in by_driver(engines) {
        // The calls of a run: version, the image, run twice, inspect twice, exec, ...
        let calls: &[usize] =
            if engine.has_containers() { &[1, 3, 4, 6, 11, 18] } else { &[1, 5, 9] };
        for (index, &call) in calls.iter().enumerate() {
            let signal = [Signal::INT, Signal::TERM, Signal::HUP][index % 3];
            let name =
                format!("{}_at_call_{call}_ends_the_run_and_leaves_nothing", name_of(signal));
            trials.push(engine.trial(&name, move |engine| interrupted(engine, signal, call)));
            let name = format!("clean_removes_what_a_kill_at_call_{call}_leaves");
            trials.push(engine.trial(&name, move |engine| killed(engine, call)));
        }
        if !engine.has_containers() {
            let name = "clean_removes_what_a_killed_matrix_leaves_on_the_host";
            trials.push(engine.trial(name, killed_matrix));
        }
        if engine.has_containers() {
            trials.push(engine.trial("an_interruption_ends_a_hanging_command", hanging));
            trials.push(engine.trial("a_second_interruption_ends_the_run_at_once", twice));
        }
    }
    trials
}

fn name_of(signal: Signal) -> &'static str {
    match signal {
        Signal::INT => "sigint",
        Signal::TERM => "sigterm",
        _ => "sighup",
    }
}

/// Returns the program whose calls show the progress of a run.
fn driver(engine: &Engine) -> &'static str {
    if engine.has_containers() { engine.name } else { "nsenter" }
}

/// A program in the background.
pub(crate) struct Running {
    handle: duct::Handle,
    pid: u32,
}

impl Running {
    pub(crate) fn start(args: Vec<String>, path: &str) -> Result<Self, Failed> {
        Self::start_program(env!("CARGO_BIN_EXE_xtask"), args, path)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where a test starts a program")]
    pub(crate) fn start_program(
        program: &str,
        args: Vec<String>,
        path: &str,
    ) -> Result<Self, Failed> {
        let expression = duct::cmd(program, args);
        let expression = expression.env("PATH", path).stdout_capture().stderr_capture();
        let environment = ledgers::environment().into_iter();
        let expression = environment.fold(expression, |it, (name, value)| it.env(name, value));
        let handle = expression.unchecked().start()?;
        let pid = handle.pids()[0];
        Ok(Self { handle, pid })
    }

    /// Starts a run and waits until the wrapper has logged `calls` calls.
    pub(crate) fn until(
        experiment: &Experiment,
        wrappers: &Wrappers,
        calls: usize,
    ) -> Result<Self, Failed> {
        Self::when(experiment, wrappers, |log| log.lines().count() >= calls)
    }

    /// Starts a run and waits until the log of the wrapper meets a condition.
    fn when(
        experiment: &Experiment,
        wrappers: &Wrappers,
        condition: impl Fn(&str) -> bool,
    ) -> Result<Self, Failed> {
        let running = Self::start(experiment.args(), &experiment.path())?;
        let started = Instant::now();
        loop {
            let log = std::fs::read_to_string(wrappers.log_file()).unwrap_or_default();
            if condition(&log) {
                return Ok(running);
            }
            let ended = running.handle.try_wait()?.is_some();
            assert!(
                !ended && started.elapsed() < Duration::from_mins(2),
                "the run ended or two minutes are over; the log: {log}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failed> {
        let pid = Pid::from_raw(i32::try_from(self.pid)?).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for the end and returns the output; fails after `time`.
    pub(crate) fn output(&self, time: Duration) -> Result<&Output, Failed> {
        Ok(self.handle.wait_timeout(time)?.ok_or_else(|| format!("still runs after {time:?}"))?)
    }
}

fn interrupted(engine: &Engine, signal: Signal, call: usize) -> Result<(), Failed> {
    let wrappers = Wrappers::new().log(driver(engine), "");
    let running = Running::until(&engine.experiment().with(&wrappers), &wrappers, call)?;
    running.signal(signal)?;
    let output = running.output(SOON)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(signal.as_raw()), "{:?}", output.status);
    assert!(output.stdout.is_empty(), "standard output has a report");
    let said = format!("interrupted by {}", name_of(signal).to_uppercase());
    assert!(stderr.contains(&said), "{stderr}");
    nothing_left(engine)
}

fn killed(engine: &Engine, call: usize) -> Result<(), Failed> {
    let wrappers = Wrappers::new().log(driver(engine), "");
    let running = Running::until(&engine.experiment().with(&wrappers), &wrappers, call)?;
    let other = engine.experiment();
    let other = Running::start(other.args(), &other.path())?;
    running.signal(Signal::KILL)?;
    running.output(SOON)?;
    let cleaned = xtask().arg("clean").output()?;
    let stderr = String::from_utf8_lossy(&cleaned.stderr);
    assert!(cleaned.status.success(), "{stderr}");
    nothing_left(engine)?;
    // A run at the same time is not disturbed.
    let output = other.output(Duration::from_mins(2))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Makes `exec` hang, with a grandchild that holds its pipes.
const HANG: &str = r#"[ "$1" = exec ] && { sleep 1000 & sleep 1000; }"#;

fn hangs(log: &str) -> bool {
    log.lines().any(|call| call.starts_with("exec "))
}

fn hanging(engine: &Engine) -> Result<(), Failed> {
    let wrappers = Wrappers::new().log(engine.name, HANG);
    let running = Running::when(&engine.experiment().with(&wrappers), &wrappers, hangs)?;
    thread::sleep(Duration::from_millis(200));
    running.signal(Signal::INT)?;
    let output = running.output(SOON)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("interrupted by SIGINT at `"), "{stderr}");
    nothing_left(engine)
}

fn twice(engine: &Engine) -> Result<(), Failed> {
    let wrappers = Wrappers::new().log(engine.name, HANG);
    let running = Running::when(&engine.experiment().with(&wrappers), &wrappers, hangs)?;
    running.signal(Signal::INT)?;
    thread::sleep(Duration::from_millis(300));
    running.signal(Signal::INT)?;
    let output = running.output(Duration::from_secs(1))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(2), "{:?}", output.status);
    assert!(stderr.contains("may remain") && stderr.contains("clean"), "{stderr}");
    xtask().arg("clean").assert().success();
    nothing_left(engine)
}

/// Kills a matrix in the host's IPC namespace when it has created a segment.
fn killed_matrix(engine: &Engine) -> Result<(), Failed> {
    let args = ["matrix", "--engine", engine.name, "--only", "*/host", "--repeat", "50"];
    let running = Running::start(args.map(str::to_owned).to_vec(), &std::env::var("PATH")?)?;
    let left = |keys: &[Key]| keys.iter().any(|key| Segment::find(*key).is_ok());
    let started = Instant::now();
    let (keys, volume) = loop {
        if let Some((keys, volume)) = recorded().filter(|(keys, _)| left(keys)) {
            break (keys, volume);
        }
        assert!(started.elapsed() < Duration::from_mins(1), "nothing written in a minute");
    };
    running.signal(Signal::KILL)?;
    running.output(SOON)?;
    assert!(left(&keys) && volume.is_dir(), "the killed matrix left nothing");
    xtask().arg("clean").assert().success();
    assert!(!left(&keys) && !volume.exists(), "clean removed nothing");
    nothing_left(engine)
}

/// Returns the keys and the volume that a ledger of this thread names.
fn recorded() -> Option<(Vec<Key>, PathBuf)> {
    let folder = std::fs::read_dir(ledgers::state().join("shm_experiment")).ok()?;
    let texts = folder.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts.into_iter().find_map(|text| {
        let entries = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let entries: Vec<_> = entries.collect();
        let keys = entries.iter().find_map(|entry| entry["memory"]["keys"].as_array())?;
        let keys = keys.iter().filter_map(|key| Key::new(i32::try_from(key.as_i64()?).ok()?));
        let volume = entries.iter().find_map(|entry| entry["folder"]["path"].as_str())?;
        Some((keys.collect(), PathBuf::from(volume)))
    })
}
