//! A private dockerd that a trial stops, kills or runs out of space. These are real faults without
//! an effect on other containers.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};
use std::{fs, thread};

use assert_cmd::Command;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use shm_testkit::{Effort, Failed, Need, Trial, count};
use tempfile::TempDir;

use crate::interrupted::Running;
use crate::machine::{Experiment, Wrappers, assert_not_carried_out, random_key, xtask};

/// How long a daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a command may take in these runs, in seconds.
const LIMIT: &str = "8";
/// A second dockerd, which only root can start.
const DOCKERD: Need =
    Need::new("root and dockerd", "dockerd --version && test $(id -u) = 0").optional();

pub(crate) fn trials() -> Vec<Trial> {
    let soak = Effort::current().every_fault.contains(&"docker");
    let trial = |name: &str, body: fn() -> Result<(), Failed>| {
        let trial = Trial::here(format!("dockerd::{name}"), &[DOCKERD], body);
        if soak { trial } else { trial.left_out("it is slow: a soak (SHM_SOAK=1) has it") }
    };
    vec![
        trial("a_daemon_that_hangs_ends_the_run_and_clean_works_later", stopped),
        trial("a_daemon_that_is_killed_ends_the_run_and_clean_works_later", killed),
        trial("a_full_disk_is_named_for_the_image_and_for_a_container", full),
        trial("a_daemon_that_remaps_users_refuses_the_hosts_namespace_as_predicted", remapped),
    ]
}

/// A daemon, its folder, and a tmpfs for its data.
struct Daemon {
    folder: TempDir,
    running: Option<Running>,
    /// Whether containers get a user namespace.
    remaps_users: bool,
}

impl Daemon {
    /// Starts a daemon whose data folder has this size.
    fn start(size: &str) -> Result<Self, Failed> {
        Self::start_with(size, false)
    }

    fn start_with(size: &str, remaps_users: bool) -> Result<Self, Failed> {
        let mut daemon = Self { folder: tempfile::tempdir()?, running: None, remaps_users };
        fs::create_dir(daemon.data())?;
        // The configuration of the machine may contradict the options.
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

    /// Starts or restarts the daemon and waits until it answers.
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
        // The daemon may use a running containerd; separate namespaces keep others' containers out.
        args.push("--containerd-namespace=shm-experiment-test".to_owned());
        args.push("--containerd-plugins-namespace=shm-experiment-test-plugins".to_owned());
        args.extend(["--bridge=none", "--iptables=false", "--ip-masq=false"].map(str::to_owned));
        let log = path("log");
        let search = std::env::var("PATH")?;
        // In a private network namespace: a daemon without a bridge removes an existing docker0.
        let script = if self.remaps_users {
            args.push("--userns-remap=nobody:nogroup".to_owned());
            // In a private mount namespace, so that the machine's files stay as they are.
            let ids = path("ids");
            fs::write(&ids, "nobody:100000:65536\n")?;
            format!(
                "exec unshare --net --mount sh -c 'for file in /etc/subuid /etc/subgid; do \
                 mount --bind {ids} $file || exit; done; exec dockerd \"$@\"' sh \"$@\" >\"$0\" 2>&1"
            )
        } else {
            "exec unshare --net dockerd \"$@\" >\"$0\" 2>&1".to_owned()
        };
        let shell = ["-c", &script, &log].map(str::to_owned);
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

    /// Makes a command use this daemon and keep its ledgers in the daemon's folder. The ledger of the
    /// image stays after a run: `clean` in a later trial of this thread would ask a daemon that is gone.
    fn on_it(&self, mut command: Command) -> Command {
        let state = self.folder.path().join("state");
        command.env("DOCKER_HOST", self.host()).env("XDG_STATE_HOME", state);
        command
    }

    fn signal(&self, signal: Signal) -> Result<(), Failed> {
        self.running.as_ref().ok_or("no daemon runs")?.signal(signal)
    }

    /// Runs an experiment on the daemon that must fail, and returns its standard error.
    fn fails(&self, wrappers: &Wrappers) -> Result<String, Failed> {
        let output = self.on_it(experiment().with(wrappers).command()).output()?;
        let stderr = assert_not_carried_out(&output);
        assert!(output.stdout.is_empty(), "standard output has a report");
        count("faults of a dockerd", &[(1, "named errors")]);
        Ok(stderr)
    }

    /// Kills the containerd of a daemon that has ended. It ends with the daemon anyway, but if no
    /// init process reaps it, the next daemon takes the zombie for a running containerd.
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

    /// Cleans up and asserts that no container is left.
    fn assert_cleaned(&self) -> Result<(), Failed> {
        let cleaned = self.clean()?;
        let stderr = String::from_utf8_lossy(&cleaned.stderr);
        assert!(cleaned.status.success(), "{stderr}");
        let left = self.docker(&["ps", "--all", "--quiet"])?;
        assert!(left.status.success() && left.stdout.is_empty(), "left: {left:?}");
        Ok(())
    }

    /// Asserts that an experiment on the daemon succeeds.
    fn assert_works(&self) -> Result<(), Failed> {
        let output = self.on_it(experiment().command()).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {stderr}", output.status);
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Errors are ignored here, so that they do not hide the failure of the trial.
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

/// Returns a wrapper that runs `script` before each such call.
fn at(call: &str, script: &str) -> Wrappers {
    Wrappers::new().wrap("docker", &format!("[ \"$1\" = {call} ] && {script}"))
}

/// The daemon stops, as if its disk did not answer, and later continues.
fn stopped() -> Result<(), Failed> {
    let daemon = Daemon::start("200m")?;
    daemon.assert_works()?;
    for call in ["run", "exec", "stop"] {
        let stop = format!("kill -STOP $(cat {})", daemon.pid_file().display());
        let stderr = daemon.fails(&at(call, &stop))?;
        let said = format!("`docker {call}");
        let words = [&said, "did not finish within 8 s", "may be left", "cargo xtask clean"];
        for words in words {
            assert!(stderr.contains(words), "{call}: no {words:?} in: {stderr}");
        }
        let cleaned = daemon.clean()?;
        let stderr = assert_not_carried_out(&cleaned);
        assert!(stderr.contains("something may be left"), "{stderr}");
        daemon.signal(Signal::CONT)?;
        // The daemon now executes the pending requests.
        thread::sleep(Duration::from_secs(3));
        daemon.assert_cleaned()?;
    }
    daemon.assert_works()
}

/// The daemon is killed during a run and restarted.
fn killed() -> Result<(), Failed> {
    let mut daemon = Daemon::start("200m")?;
    daemon.assert_works()?;
    for call in ["run", "exec", "stop"] {
        let kill = format!("kill -KILL $(cat {})", daemon.pid_file().display());
        let stderr = daemon.fails(&at(call, &kill))?;
        for words in ["ocker daemon", "may be left", "cargo xtask clean"] {
            assert!(stderr.contains(words), "{call}: no {words:?} in: {stderr}");
        }
        daemon.running.as_ref().ok_or("no daemon runs")?.output(PATIENCE)?;
        daemon.end_containerd();
        daemon.run()?;
        daemon.assert_cleaned()?;
    }
    daemon.assert_works()
}

/// The disk is too full for the image first, then for a container.
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
    daemon.assert_works()?;
    fill(&filler)?;
    // A and B start in parallel, so either may fail.
    full("error: starting ")?;
    fs::remove_file(&filler)?;
    daemon.assert_cleaned()?;
    daemon.assert_works()
}

/// With `--userns-remap`, no container may use the host's IPC namespace. All other cells, those of the
/// shared folder too, are as on another daemon.
fn remapped() -> Result<(), Failed> {
    let daemon = Daemon::start_with("200m", true)?;
    for (only, refused) in [("*/host/writer-exits", 18), ("*/hostshm/pause", 6), ("sysv/host", 39)]
    {
        let mut matrix = daemon.on_it(xtask());
        matrix.args(["matrix", "--engine", "docker", "--format", "json", "--only", only]);
        let output = matrix.output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{only}: {:?}: {stderr}", output.status);
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let engine = &report["engines"][0];
        assert_eq!(engine["engine"]["remaps_users"], true);
        let cells = engine["cells"].as_array().ok_or("no cells")?;
        let is_refused = |cell: &&Value| {
            cell["verdict"] == "refused" && cell["reason"].as_str().is_some_and(|it| !it.is_empty())
        };
        assert_eq!(cells.iter().filter(is_refused).count(), refused, "{only}: {cells:#?}");
    }
    daemon.assert_works()
}

/// Writes until the file system is full.
fn fill(path: &Path) -> Result<(), Failed> {
    let mut file = fs::File::create(path)?;
    let full = std::io::copy(&mut std::io::repeat(0), &mut file);
    let full = full.err().ok_or("the file system is never full")?;
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
    Ok(())
}
