//! The matrix of pods on a cluster.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use shm_core::{Key, Segment};
use shm_testkit::{Effort, Failed, Need, Trial};

use crate::cluster::{alone, image, kubectl, trial};
use crate::interrupted::Running;
use crate::ledgers;
use crate::machine::xtask;

/// An event that needs a command of the user.
#[derive(Clone, Copy)]
struct ByCommand {
    event: &'static str,
    option: &'static str,
    /// The environment variable with the command for the tests.
    variable: &'static str,
}

const SANDBOX_KILLED: ByCommand =
    ByCommand { event: "sandbox-killed", option: "--kill-sandbox", variable: "SHM_KILL_SANDBOX" };
const KUBELET_RESTARTED: ByCommand = ByCommand {
    event: "kubelet-restarted",
    option: "--restart-kubelet",
    variable: "SHM_RESTART_KUBELET",
};

impl ByCommand {
    fn command(self) -> Option<String> {
        std::env::var(self.variable).ok().filter(|command| !command.is_empty())
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("a_sandbox_that_was_not_killed_makes_the_cells_differ", sandbox_stays),
        trial("a_kubelet_that_was_not_restarted_makes_the_cells_differ", kubelet_stays),
        trial("a_signal_does_not_interrupt_the_restart_of_a_kubelet", kubelet_comes_back),
        trial("clean_removes_what_a_killed_matrix_leaves_on_the_node", killed),
    ];
    let command = Need::new("SHM_RESTART_KUBELET", "test -n \"$SHM_RESTART_KUBELET\"").optional();
    trials.push(alone("a_restarted_kubelet_is_as_predicted", &[command], || {
        as_predicted("*/*/kubelet-restarted", 40, Some(KUBELET_RESTARTED))
    }));
    if Effort::current().whole_matrix.contains(&"kubernetes") {
        trials.push(trial("the_whole_matrix_of_pods_is_as_predicted", || {
            // The kubelet restart has its own trial, because other trials run at the same time.
            as_predicted("*", 573, Some(SANDBOX_KILLED))
        }));
    } else {
        // The cells that differ most from containers, and those that leave most behind.
        trials.push(trial("a_restarted_container_is_as_predicted", || {
            as_predicted("*/shm-volume/crash", 20, None)
        }));
        trials.push(trial("a_replaced_pod_is_as_predicted", || {
            as_predicted("*/stateful-set/replaced", 15, None)
        }));
        trials
            .push(trial("a_failed_job_is_as_predicted", || as_predicted("*/job-never", 15, None)));
        trials.push(trial("a_deleted_pod_on_the_node_is_as_predicted", || {
            as_predicted("*/host-ipc/deleted", 10, None)
        }));
    }
    trials
}

fn args(only: &str, options: &[&str]) -> Vec<String> {
    let image = image();
    let mut args = vec!["matrix", "--engine", "kubernetes", "--image", &image, "--only", only];
    args.extend(["--jobs", "4", "--format", "json"]);
    args.extend(options);
    args.into_iter().map(str::to_owned).collect()
}

fn cells(only: &str, options: &[&str]) -> Result<(Option<i32>, Vec<Value>), Failed> {
    let mut matrix = xtask();
    let output = matrix.args(args(only, options)).timeout(Duration::from_mins(15)).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let cells = report["engines"][0]["cells"].as_array().ok_or("no cells")?.clone();
    Ok((output.status.code(), cells))
}

/// Runs a part of the matrix, with the command for one event if its variable is set.
fn as_predicted(only: &str, count: usize, given: Option<ByCommand>) -> Result<(), Failed> {
    let given = given.and_then(|by| Some((by, by.command()?)));
    let options = given.as_ref().map(|(by, command)| [by.option, command]);
    let (status, cells) = cells(only, options.as_ref().map_or(&[], |options| options))?;
    let is = |verdict: &str| {
        let cells = cells.iter().filter(|cell| cell["verdict"] == verdict);
        cells.map(|cell| format!("{cell:#}")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(status, Some(0), "{}", [is("differs"), is("unstable"), is("unclear")].concat());
    assert_eq!(cells.len(), count);
    // Not every cluster has debug containers, and an event without its command is skipped.
    let may_be_skipped = |cell: &Value| {
        let given = given.as_ref().map(|(by, _)| by.event);
        let takes_command = [SANDBOX_KILLED.event, KUBELET_RESTARTED.event].into_iter();
        let mut without = ["debug"].into_iter().chain(takes_command.filter(|it| given != Some(it)));
        without.any(|event| cell["event"] == event)
    };
    let skipped = |cell: &&Value| cell["verdict"] == "skipped" && !may_be_skipped(cell);
    assert!(!cells.iter().any(|cell| skipped(&cell)), "{}", is("skipped"));
    Ok(())
}

/// The command succeeds and does nothing: no container starts again.
fn sandbox_stays() -> Result<(), Failed> {
    let (status, cells) = cells("sysv/pod/sandbox-killed", &["--kill-sandbox", "true"])?;
    unclear(status, &cells, "did not become ready");
    Ok(())
}

/// The command succeeds and does nothing: no kubelet starts again.
fn kubelet_stays() -> Result<(), Failed> {
    let options = ["--restart-kubelet", "true", "--timeout", "60"];
    let (status, cells) = cells("sysv/pod/kubelet-restarted", &options)?;
    unclear(status, &cells, "did not restart");
    Ok(())
}

/// Asserts that every cell is unclear, with a reason that contains `why`.
#[track_caller]
fn unclear(status: Option<i32>, cells: &[Value], why: &str) {
    let has_reason = |cell: &Value| cell["reason"].as_str().is_some_and(|it| it.contains(why));
    let unclear = |cell: &Value| cell["verdict"] == "unclear" && has_reason(cell);
    assert!(status == Some(1) && cells.iter().all(unclear), "{status:?} {cells:?}");
}

/// A signal during the restart command: the command still runs to its end.
fn kubelet_comes_back() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (begun, done) = (folder.path().join("begun"), folder.path().join("done"));
    let command = format!("touch {}; sleep 4; touch {}", begun.display(), done.display());
    let args = args("sysv/pod/kubelet-restarted", &["--restart-kubelet", &command]);
    let running = Running::start(args, &std::env::var("PATH")?)?;
    let started = Instant::now();
    while !begun.exists() && started.elapsed() < Duration::from_mins(2) {
        thread::sleep(Duration::from_millis(100));
    }
    running.signal(Signal::TERM)?;
    let output = running.output(Duration::from_mins(2))?;
    let by_signal = output.status.signal() == Some(Signal::TERM.as_raw());
    assert!(by_signal && done.exists(), "{:?}, {}", output.status, done.exists());
    Ok(())
}

/// The pod with which a run sees its node, as recorded in the run's ledger.
struct NodePod {
    name: String,
    namespace: String,
    /// The keys under which the run may leave something on the node.
    keys: Vec<Key>,
}

impl NodePod {
    fn find() -> Option<Self> {
        let folder = std::fs::read_dir(ledgers::state().join("shm_experiment")).ok()?;
        let texts = folder.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        let entries = texts.flat_map(|text| {
            let values = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            values.collect::<Vec<_>>()
        });
        let memory = entries.map(|it| it["node_memory"].clone()).find(Value::is_object)?;
        let keys = memory["left"]["keys"].as_array()?.iter();
        let keys = keys.filter_map(|key| Key::new(i32::try_from(key.as_i64()?).ok()?)).collect();
        let text = |name: &str| Some(memory[name].as_str()?.to_owned());
        Some(Self { name: text("pod")?, namespace: text("namespace")?, keys })
    }

    /// Returns the keys of the run that have a segment on the node.
    fn sees(&self) -> Vec<Key> {
        let list = ["exec", "-n", &self.namespace, &self.name, "--", "shm_ls", "--json"];
        let list: Value = serde_json::from_slice(&kubectl(&list).stdout).unwrap_or_default();
        let segments = list["segments"].as_array().cloned().unwrap_or_default();
        let keys = segments.iter().filter_map(|segment| segment["key"].as_str()?.parse().ok());
        keys.filter(|key| self.keys.contains(key)).collect()
    }
}

fn killed() -> Result<(), Failed> {
    let args = args("*/host-ipc/sandbox-killed", &["--kill-sandbox", "sleep 50"]);
    let running = Running::start(args, &std::env::var("PATH")?)?;
    let started = Instant::now();
    let (mut node_pod, mut keys) = (None, vec![]);
    while keys.is_empty() && started.elapsed() < Duration::from_mins(2) {
        thread::sleep(Duration::from_millis(500));
        node_pod = node_pod.or_else(NodePod::find);
        keys = node_pod.as_ref().map(NodePod::sees).unwrap_or_default();
    }
    running.signal(Signal::KILL)?;
    running.output(Duration::from_mins(1))?;
    assert!(!keys.is_empty(), "the run wrote nothing");
    let here = |key: &Key| Segment::find(*key).ok();
    let before = keys.iter().filter_map(here).count();
    let cleaned = xtask().arg("clean").output()?;
    let stdout = String::from_utf8_lossy(&cleaned.stdout);
    assert!(stdout.contains("objects on the node of"), "{stdout}");
    // If this machine is the node, check its segments directly.
    let after = keys.iter().filter_map(here).count();
    assert!(before == 0 || after < before, "{before} segments before, {after} after");
    Ok(())
}
