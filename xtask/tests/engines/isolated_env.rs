//! Trials in an isolated environment: private IPC, mount and PID namespaces, a temporary folder,
//! and a `PATH` with few programs. A trial can list everything before and after a run and compare
//! the two exactly, whatever else the machine does.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use shm_testkit::programs::which;
use shm_testkit::trial::TrialResult;
use shm_testkit::{Failed, Trial, isolation};
use xtask::engine::dist::{Dist, TOOLS};

use crate::machine::{Engine, Wrappers};

/// The variable that is set inside: the folder that contains the folders of the environment.
const INSIDE: &str = "SHM_TRIAL_FOLDER";
/// The folders: temporary files of runs, POSIX message queues, and files of the trial itself.
const TEMPORARY: &str = "tmp";
const QUEUES: &str = "mqueue";
const ASIDE: &str = "aside";
/// How long a whole trial may take.
const PATIENCE: Duration = Duration::from_mins(15);
/// How long processes of a run may take to end by themselves.
const SETTLES: Duration = Duration::from_secs(5);

/// The programs that runs on namespaces and the trials call.
const PROGRAMS: [&str; 7] = ["unshare", "nsenter", "lsns", "mount", "sh", "true", "sleep"];

/// Returns whether this process runs inside of the environment.
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Returns the folder for files of the trial that do not belong to a run.
pub(crate) fn aside() -> PathBuf {
    env::var_os(INSIDE).map_or_else(env::temp_dir, |folder| PathBuf::from(folder).join(ASIDE))
}

/// Creates a trial that runs in an isolated environment, in another process of this program.
pub(crate) fn trial<O: TrialResult + 'static>(
    engine: &'static Engine,
    name: &'static str,
    body: fn(&Engine) -> O,
) -> Trial {
    engine.trial(
        name,
        move |engine| {
            if is_inside() { body(engine).into_result() } else { start(engine, name) }
        },
    )
}

fn start(engine: &Engine, name: &str) -> Result<(), Failed> {
    let environment = tempfile::tempdir()?;
    for folder in [TEMPORARY, QUEUES, ASIDE] {
        fs::create_dir(environment.path().join(folder))?;
    }
    let programs = programs();
    // If queues cannot be mounted, their folder stays empty.
    let enter = "mount -t tmpfs shm /dev/shm && { mount -t mqueue queues \"$0\"; exec \"$@\"; }";
    let mut command = isolation::command("sh");
    command
        .args(["-c", enter])
        .arg(environment.path().join(QUEUES))
        .arg(env::current_exe()?)
        .env(INSIDE, environment.path())
        .env("TMPDIR", environment.path().join(TEMPORARY))
        .env("PATH", programs.path())
        .env("CARGO", programs.path().join("cargo"))
        .timeout(PATIENCE);
    isolation::run_body(command, &format!("{}::{name}", engine.name))
}

/// Creates the `PATH` of the environment. The tools are up to date, so a fake cargo prints their
/// paths.
fn programs() -> Wrappers {
    let programs = Wrappers::new();
    for program in PROGRAMS {
        let real = which(program).unwrap_or_else(|| panic!("{program} is not installed"));
        symlink(real, programs.path().join(program)).unwrap();
    }
    let tool = |tool| format!("echo '{{\"executable\":\"{}\"}}'", Dist::existing().tool(tool));
    let tools = TOOLS.map(tool).join("\n");
    programs.wrap("cargo", &format!("{tools}\nexit 0")).wrap("rustc", "echo /nonexistent; exit 0")
}

/// Everything in this environment.
#[derive(Debug)]
pub(crate) struct Inventory(BTreeSet<String>);

impl Inventory {
    pub(crate) fn take() -> Self {
        let mut items = BTreeSet::new();
        for kind in ["shm", "sem", "msg"] {
            let listed = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap();
            let ids = listed
                .lines()
                .skip(1)
                .map(|line| line.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" id "));
            items.extend(ids.map(|line| format!("{kind}: key {line}")));
        }
        let own = PathBuf::from(env::var_os(INSIDE).unwrap());
        for folder in ["/dev/shm".into(), own.join(QUEUES), own.join(TEMPORARY)] {
            files(&folder, &mut items);
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        items.extend(mounts.lines().map(|line| format!("mount: {line}")));
        items.extend(processes());
        Self(items)
    }

    /// Asserts that the environment is unchanged, after some seconds at most. A missing mount is
    /// ignored: a mount of another process disappears when its folder is removed.
    #[track_caller]
    pub(crate) fn compare(&self) {
        let started = Instant::now();
        loop {
            let now = Self::take();
            let new: Vec<_> = now.0.difference(&self.0).collect();
            let gone = self.0.difference(&now.0);
            let gone: Vec<_> = gone.filter(|item| !item.starts_with("mount")).collect();
            if new.is_empty() && gone.is_empty() {
                return;
            }
            assert!(started.elapsed() < SETTLES, "left: {new:?}, gone: {gone:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns whether the description of any item contains `word`.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.iter().any(|item| item.contains(word))
    }
}

fn files(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.insert(format!("file: {}", entry.path().display()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files(&entry.path(), found);
        }
    }
}

/// Returns the running processes without zombies, whose parent may have been killed.
fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let lives = !command.is_empty();
        lives.then(|| format!("process: {pid} {}", String::from_utf8_lossy(&command)))
    })
}
