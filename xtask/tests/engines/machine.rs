//! The engines of this machine, and runs of `cargo xtask` on them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use shm_testkit::programs::which;
use shm_testkit::trial::TrialResult;
use shm_testkit::{Effort, Failed, Need, Trial};
use xtask::engine::EngineKind;
use xtask::engine::discover::{Query, running};
use xtask::engine::image::SCRATCH;
use xtask::engine::kubernetes::Cluster;
use xtask::process::interrupt::Interrupt;
use xtask::process::ledger::Ledger;
use xtask::process::name::{CheckedName, Runtime};

use crate::{isolated_env, ledgers};

/// An engine that this machine may have.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    need: Need,
}

/// All engines.
pub(crate) static ENGINES: [Engine; 3] = [
    Engine { name: "docker", need: Need::engine_found_by("docker", || DOCKER.clone()) },
    Engine { name: "podman", need: Need::engine_found_by("podman", || PODMAN.clone()) },
    Engine {
        name: "namespaces",
        need: Need::engine("namespaces", "unshare --user --map-root-user --ipc --mount true"),
    },
];

/// Whether docker and podman are there: each has run a container of ours. One that only answers
/// may be unable to start any.
static DOCKER: LazyLock<Result<(), String>> = LazyLock::new(|| runs(EngineKind::Docker, None));
static PODMAN: LazyLock<Result<(), String>> = LazyLock::new(|| runs(EngineKind::Podman, None));

/// Runs a container of the tools. Fails with the reason if that fails.
pub(crate) fn runs(kind: EngineKind, runtime: Option<&CheckedName<Runtime>>) -> Result<(), String> {
    let wanted = Query {
        kind: Some(kind),
        runtime,
        cluster: &Cluster::default(),
        base: SCRATCH,
        ledger: &Ledger::in_folder(ledgers::state().join("shm_experiment")),
        interrupt: &Interrupt::default(),
    };
    let found = running(kind, &wanted, "asked for".into());
    found.map_err(|error| format!("{error:#}"))?.map(drop)
}

/// The body of a trial on an engine.
pub(crate) type Body = fn(&Engine) -> Result<(), Failed>;

impl Engine {
    /// Creates a trial on this engine.
    pub(crate) fn trial<O: TrialResult>(
        &'static self,
        name: &str,
        body: impl FnOnce(&'static Self) -> O + Send + 'static,
    ) -> Trial {
        Trial::here(format!("{}::{name}", self.name), &[self.need], move || body(self))
    }

    /// Returns a run of the experiment on this engine with a random key.
    pub(crate) fn experiment(&self) -> Experiment {
        Experiment::new(&["experiment", "--engine", self.name], random_key())
    }

    /// Returns whether docker or podman has run a container of ours.
    pub(crate) fn runs_containers(&self) -> bool {
        match self.name {
            "docker" => DOCKER.is_ok(),
            "podman" => PODMAN.is_ok(),
            _ => false,
        }
    }

    /// Returns whether the engine has Docker's command line.
    pub(crate) fn has_containers(&self) -> bool {
        self.name != "namespaces"
    }
}

/// Returns the engines for trials of code that Docker and Podman share: Podman only in a soak run.
pub(crate) fn by_driver(engines: &'static [Engine]) -> impl Iterator<Item = &'static Engine> {
    let all = Effort::current().podman_like_docker;
    engines.iter().filter(move |engine| all || engine.name != "podman")
}

pub(crate) fn xtask() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.timeout(Duration::from_mins(5)).envs(ledgers::environment());
    command
}

static KEYS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Returns an unused key other than the article's.
pub(crate) fn random_key() -> i32 {
    let number = RandomState::new().build_hasher().finish();
    let key = 0x4000_0000 | i32::try_from(number & 0x0fff_ffff).unwrap();
    KEYS.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    key
}

/// Returns all keys that [`random_key`] has returned.
pub(crate) fn keys() -> Vec<i32> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The arguments and the environment of a run.
#[derive(Clone, Debug)]
pub(crate) struct Experiment {
    args: Vec<String>,
    pub(crate) key: i32,
    first_in_path: Option<PathBuf>,
}

impl Experiment {
    pub(crate) fn new(args: &[&str], key: i32) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { args, key, first_in_path: None }
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn key(mut self, key: i32) -> Self {
        self.key = key;
        self
    }

    /// Puts the wrappers first in `PATH`.
    pub(crate) fn with(mut self, wrappers: &Wrappers) -> Self {
        self.first_in_path = Some(wrappers.folder.path().to_owned());
        self
    }

    pub(crate) fn args(&self) -> Vec<String> {
        [&self.args[..], &["--key".to_owned(), self.key.to_string()]].concat()
    }

    pub(crate) fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        match &self.first_in_path {
            Some(first) => format!("{}:{path}", first.display()),
            None => path,
        }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = xtask();
        command.args(self.args()).env("PATH", self.path());
        command
    }

    /// Runs the experiment, checks its exit status and returns its report.
    pub(crate) fn report(&self, status: i32) -> Result<Value, Failed> {
        let output = self.command().args(["--format", "json"]).output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(status) {
            let stdout = String::from_utf8_lossy(&output.stdout);
            return Err(format!("{:?}, not {status}\n{stderr}\n{stdout}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Scripts that come before the real programs in `PATH`.
#[derive(Debug)]
pub(crate) struct Wrappers {
    folder: tempfile::TempDir,
}

impl Wrappers {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir_in(isolated_env::aside()).unwrap() }
    }

    /// Adds a shell script under the name of `program`. `$real` is the real program; the script
    /// executes it at the end.
    pub(crate) fn wrap(self, program: &str, script: &str) -> Self {
        let real = which(program).unwrap_or_else(|| PathBuf::from("/nonexistent"));
        let text = format!("#!/bin/sh\nreal={}\n{script}\nexec \"$real\" \"$@\"\n", real.display());
        let path = self.folder.path().join(program);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// Adds a wrapper that logs each call to a file and then runs `script`.
    pub(crate) fn log(self, program: &str, script: &str) -> Self {
        let note = format!("echo \"$@\" >> {}", self.log_file().display());
        self.wrap(program, &format!("{note}\n{script}"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Asserts what every run that could not be carried out shows: status 2, and on standard error a
/// line with the next step. The last message says nothing twice; the indented output of programs may.
/// Returns standard error.
pub(crate) fn assert_not_carried_out(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{:?}: {stderr}", output.status);
    // Programs such as cargo may print before it.
    let message = &stderr[stderr.rfind("error: ").unwrap_or(0)..];
    let said = message.lines().filter(|line| !line.starts_with(char::is_whitespace));
    let mut lines: Vec<_> = said.collect();
    assert!(lines.iter().any(|line| line.starts_with("next step: ")), "no next step in: {stderr}");
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), count, "a line comes twice in: {stderr}");
    stderr
}

/// Returns the ids of the conclusions that failed.
pub(crate) fn broken(report: &Value) -> Vec<&str> {
    let conclusions = report["conclusions"].as_array().unwrap().iter();
    let failed = conclusions.filter(|conclusion| conclusion["verdict"] == "fail");
    failed.map(|conclusion| conclusion["id"].as_str().unwrap()).collect()
}

/// Returns the ids of the steps that failed.
pub(crate) fn failed_steps(report: &Value) -> Vec<&str> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .filter(|step| step["verdict"] == "fail")
        .map(|step| step["id"].as_str().unwrap())
        .collect()
}

pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
