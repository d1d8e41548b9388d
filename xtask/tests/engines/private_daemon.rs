//! A dockerd of the test's own, that can be stopped, killed and run out of space: real faults, which
//! nobody else's containers notice.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};
use std::{fs, thread};

use assert_cmd::Command;
use rustix::process::{Pid, Signal, kill_process};
use shm_testkit::{Effort, Failed, Need, Trial, count};
use tempfile::TempDir;

use crate::interrupted::Running;
use crate::machine::{Experiment, Wrappers, random_key, xtask};

/// How long a daemon may take to start, and to end.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a command may take in these runs, in seconds.
const LIMIT: &str = "8";
/// Another dockerd than the machine's, which only root can start.
const DOCKERD: Need =
    Need::new("root and dockerd", "dockerd --version && test $(id -u) = 0").optional();

pub(crate) fn trials() -> Vec<Trial> {
    let soak = Effort::current().every_fault.contains(&"docker");
    let trial = |name: &str, body: fn() -> Result<(), Failed>| {
        let trial = Trial::here(format!("dockerd::{name}"), &[DOCKERD], body);
        if soak { trial } else { trial.left_out("it is slow: a soak (SHM_SOAK=1) has it") }
    };
    vec![
        trial("a_daemon_that_stops_answering_ends_the_run_and_is_cleaned_later", stopped),
        trial("a_daemon_that_is_killed_ends_the_run_and_is_cleaned_later", killed),
        trial("a_full_disk_is_named_wherever_it_is_met", full),
    ]
}

/// A daemon, its folder, and the tmpfs that its data is on.
struct Daemon {
    folder: TempDir,
    running: Option<Running>,
}

impl Daemon {
    /// Starts one whose data has so much room.
    fn start(size: &str) -> Result<Self, Failed> {
        let mut daemon = Self { folder: tempfile::tempdir()?, running: None };
        fs::create_dir(daemon.data())?;
        // The machine's own may contradict the options.
        fs::write(daemon.folder.path().join("config"), "{}")?;
        let options = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", &options, "shm_experiment_test"];
        Command::new("mount").args(mount).arg(daemon.data()).assert().success();
        daemon.run()?;
        Ok(daemon)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// Starts the daemon, again or for the first time, and waits until it answers.
    fn run(&mut self) -> Result<(), Failed> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut args = vec!["--host".to_owned(), self.host()];
        for (option, name) in [
            ("--config-file", "config"),
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            args.extend([option.to_owned(), path(name)]);
        }
        // Where there is a containerd already it is used: not with what others have in it.
        args.push("--containerd-namespace=shm-experiment-test".to_owned());
        args.push("--containerd-plugins-namespace=shm-experiment-test-plugins".to_owned());
        args.extend(["--bridge=none", "--iptables=false", "--ip-masq=false"].map(str::to_owned));
        let log = path("log");
        let search = std::env::var("PATH")?;
        // In a network of its own: a daemon without a bridge removes the docker0 that it finds.
        let script = "exec unshare --net dockerd \"$@\" >\"$0\" 2>&1";
        let shell = ["-c", script, &log].map(str::to_owned);
        let args = [&shell[..], &args].concat();
        self.running = Some(Running::start_program("sh", args, &search)?);
        let started = Instant::now();
        while !self.docker(&["version"])?.status.success() {
            let late = started.elapsed() > PATIENCE;
            assert!(!late, "{}", fs::read_to_string(&log).unwrap_or_default());
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn docker(&self, args: &[&str]) -> Result<Output, Failed> {
        let mut docker = Command::new("docker");
        docker.args(args).env("DOCKER_HOST", self.host()).timeout(PATIENCE);
        Ok(docker.output()?)
    }

    /// Has a command use this daemon. Its ledgers go with the daemon: that of the image stays after a
    /// run, and `clean` in a later trial of this thread would ask a daemon that is gone.
    fn on_it(&self, mut command: Command) -> Command {
        let state = self.folder.path().join("state");
        command.env("DOCKER_HOST", self.host()).env("XDG_STATE_HOME", state);
        command
    }

    fn signal(&self, signal: Signal) -> Result<(), Failed> {
        self.running.as_ref().ok_or("no daemon runs")?.signal(signal)
    }

    /// An experiment on it that fails, and what it says.
    fn fails(&self, wrappers: &Wrappers) -> Result<String, Failed> {
        let output = self.on_it(experiment().with(wrappers).command()).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{:?}: {stderr}", output.status);
        assert!(output.stdout.is_empty(), "there is a report");
        assert!(stderr.contains("next step:"), "no next step in: {stderr}");
        count("faults of a dockerd", &[(1, "named errors")]);
        Ok(stderr)
    }

    /// Ends the containerd of a daemon that is gone. It goes with it anyway, but where nobody waits
    /// for orphans the next daemon takes what is left of it for one that runs.
    fn end_containerd(&self) {
        let file = self.folder.path().join("exec/containerd/containerd.pid");
        if let Some(pid) = read_pid(&file) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = fs::remove_file(&file);
        }
    }

    fn clean(&self) -> Result<Output, Failed> {
        Ok(self.on_it(xtask()).arg("clean").output()?)
    }

    /// Cleans up, and demands that nothing is left of the runs.
    fn is_cleaned(&self) -> Result<(), Failed> {
        let cleaned = self.clean()?;
        let stderr = String::from_utf8_lossy(&cleaned.stderr);
        assert!(cleaned.status.success(), "{stderr}");
        let left = self.docker(&["ps", "--all", "--quiet"])?;
        assert!(left.status.success() && left.stdout.is_empty(), "left: {left:?}");
        Ok(())
    }

    /// And that it can be used as ever.
    fn works(&self) -> Result<(), Failed> {
        let output = self.on_it(experiment().command()).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {stderr}", output.status);
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // All of these are tries: the trial's own failure is what counts.
        let _ = self.signal(Signal::CONT);
        let containers = self.docker(&["ps", "--all", "--quiet"]).map(|output| output.stdout);
        for id in String::from_utf8_lossy(&containers.unwrap_or_default()).lines() {
            let _ = self.docker(&["rm", "--force", id]);
        }
        let _ = self.signal(Signal::TERM);
        let _ = self.running.as_ref().map(|running| running.output(PATIENCE).map(drop));
        self.end_containerd();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let here = self.folder.path().display().to_string();
        let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut targets: Vec<_> = targets.filter(|target| target.starts_with(&here)).collect();
        targets.reverse();
        for target in targets {
            let _ = Command::new("umount").args(["--lazy", target]).output();
        }
    }
}

fn read_pid(file: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(file).ok()?.trim().parse().ok()?)
}

fn experiment() -> Experiment {
    let args = ["experiment", "--engine", "docker", "--timeout", LIMIT];
    Experiment::new(&args, random_key())
}

/// What a shell does at the first of these calls.
fn at(call: &str, script: &str) -> Wrappers {
    Wrappers::new().wrap("docker", &format!("[ \"$1\" = {call} ] && {script}"))
}

/// It hangs, as a daemon does whose disk does not answer; then it goes on.
fn stopped() -> Result<(), Failed> {
    let daemon = Daemon::start("200m")?;
    daemon.works()?;
    for call in ["run", "exec", "stop"] {
        let stop = format!("kill -STOP $(cat {})", daemon.pid_file().display());
        let stderr = daemon.fails(&at(call, &stop))?;
        let said = format!("`docker {call}");
        let words = [&said, "did not finish within 8 s", "may be left", "cargo xtask clean"];
        for words in words {
            assert!(stderr.contains(words), "{call}: no {words:?} in: {stderr}");
        }
        let cleaned = daemon.clean()?;
        let stderr = String::from_utf8_lossy(&cleaned.stderr);
        assert_eq!(cleaned.status.code(), Some(2), "clean: {:?}", cleaned.status);
        assert!(stderr.contains("something may be left"), "{stderr}");
        daemon.signal(Signal::CONT)?;
        // What it was asked for before it stopped, it does now.
        thread::sleep(Duration::from_secs(3));
        daemon.is_cleaned()?;
    }
    daemon.works()
}

/// It dies in the middle, and is started again.
fn killed() -> Result<(), Failed> {
    let mut daemon = Daemon::start("200m")?;
    daemon.works()?;
    for call in ["run", "exec", "stop"] {
        let kill = format!("kill -KILL $(cat {})", daemon.pid_file().display());
        let stderr = daemon.fails(&at(call, &kill))?;
        for words in ["ocker daemon", "may be left", "cargo xtask clean"] {
            assert!(stderr.contains(words), "{call}: no {words:?} in: {stderr}");
        }
        daemon.running.as_ref().ok_or("no daemon runs")?.output(PATIENCE)?;
        daemon.end_containerd();
        daemon.run()?;
        daemon.is_cleaned()?;
    }
    daemon.works()
}

/// First there is no room for the image, then none for a container.
fn full() -> Result<(), Failed> {
    let daemon = Daemon::start("24m")?;
    let filler = daemon.data().join("filler");
    fill(&filler)?;
    let full = |step: &str| -> Result<(), Failed> {
        let stderr = daemon.fails(&Wrappers::new())?;
        for words in [step, "no space left on device", "next step: free space"] {
            assert!(stderr.contains(words), "no {words:?} in: {stderr}");
        }
        Ok(())
    };
    full("building the image")?;
    fs::remove_file(&filler)?;
    daemon.works()?;
    fill(&filler)?;
    // A or B, which start side by side.
    full("error: starting ")?;
    fs::remove_file(&filler)?;
    daemon.is_cleaned()?;
    daemon.works()
}

/// Writes until there is no room.
fn fill(path: &Path) -> Result<(), Failed> {
    let mut file = fs::File::create(path)?;
    let full = std::io::copy(&mut std::io::repeat(0), &mut file);
    let full = full.err().ok_or("it is never full")?;
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    Ok(())
}
