//! Faults in the middle of a run on a cluster: pods that others change or hold, a right that is missing, and
//! signals.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cluster::{image, kubectl, objects, refused, run, trial};
use crate::cluster_errors::{Namespace, configuration, first_pod, let_work_in, start_in};
use crate::interrupted::Running;
use crate::ledgers;
use crate::machine::{ensure, xtask};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_pod_that_was_changed_on_its_way_is_told_by_the_change", changed),
        trial("without_the_right_to_exec_nothing_is_taken_for_an_observation", no_exec),
        trial("a_given_namespace_that_is_not_there_is_named", no_namespace),
        trial("what_holds_a_pod_is_named_and_once_it_is_away_all_is_cleaned", held),
        trial("what_a_killed_run_leaves_is_cleaned", killed),
        trial("sigint_in_the_middle_ends_the_run_and_leaves_nothing", || ended_by(Signal::INT)),
        trial("sigterm_in_the_middle_ends_the_run_and_leaves_nothing", || ended_by(Signal::TERM)),
        trial("sighup_in_the_middle_ends_the_run_and_leaves_nothing", || ended_by(Signal::HUP)),
    ]
}

/// Somebody changes a pod on its way, as an admission webhook would: such as a registry that is put
/// in place of another, and does not have the image.
fn changed() -> Result<(), Failed> {
    let namespace = Namespace::new("changed")?;
    let running = start_in(&namespace, &[])?;
    let pod = first_pod(&namespace, "-pod-a")?;
    let other = "localhost/no-such-mirror:1";
    let change = kubectl(&["set", "image", &pod, "-n", &namespace.0, &format!("a={other}")]);
    let ended = running.output(Duration::from_mins(3))?;
    ensure(change.status.success(), || format!("{change:?}"))?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    ensure(ended.status.code() == Some(2), || format!("{:?} {stderr}", ended.status))?;
    let what = format!("spec.containers[a].image is \"{other}\", and \"{}\" was asked", image());
    for why in ["the cluster changed pod shm-", &what, "next step"] {
        ensure(stderr.contains(why), || format!("not a word of {why}: {stderr}"))?;
    }
    ensure(namespace.pods().is_empty(), || namespace.pods().join(", "))
}

fn no_exec() -> Result<(), Failed> {
    let namespace = Namespace::new("exec")?;
    let user = let_work_in(&namespace, &["pods", "events"])?;
    let (_folder, path) = configuration(None, Some(user))?;
    let args = ["--image", &image(), "--kubeconfig", &path, "--namespace", &namespace.0];
    let (status, stdout, stderr) = run(&args)?;
    ensure(status == Some(2) && stdout.is_empty(), || format!("{status:?} {stderr}\n{stdout}"))?;
    // At the first tool, not at the first step that is no observation.
    for why in
        ["writing", "could not be run in A; next step", "cannot create resource \"pods/exec\""]
    {
        ensure(stderr.contains(why), || format!("not a word of {why}: {stderr}"))?;
    }
    ensure(namespace.pods().is_empty(), || namespace.pods().join(", "))
}

fn no_namespace() -> Result<(), Failed> {
    let args = ["--image", &image(), "--namespace", "no-such-namespace"];
    refused(&args, "namespaces \"no-such-namespace\" not found")?;
    refused(&args, "next step")
}

/// What the runs of this thread have in the cluster.
fn left() -> Vec<String> {
    objects(&ledgers::state())
}

/// Starts a run in a namespace of its own and waits for its first pod.
fn start() -> Result<(Running, String), Failed> {
    let args = ["experiment", "--engine", "kubernetes", "--image", &image()].map(str::to_owned);
    let running = Running::start(args.to_vec(), &std::env::var("PATH")?)?;
    let started = Instant::now();
    loop {
        let found = left();
        if let Some(pod) = found.into_iter().find(|it| it.ends_with("-pod-a")) {
            return Ok((running, pod));
        }
        ensure(started.elapsed() < Duration::from_mins(1), || "no pod appeared".to_owned())?;
        thread::sleep(Duration::from_millis(200));
    }
}

fn held() -> Result<(), Failed> {
    let (running, pod) = start()?;
    let (namespace, name) = pod.split_once('/').ok_or("no namespace")?;
    let patch = |finalizers: Value| {
        let patch = json!({ "metadata": { "finalizers": finalizers } }).to_string();
        kubectl(&["patch", "pod", name, "-n", namespace, "--type", "merge", "-p", &patch])
    };
    let started = Instant::now();
    let hold = patch(json!(["example.org/hold"]));
    let ended = running.output(Duration::from_mins(4)).cloned();
    let took = started.elapsed();
    let left = left();
    let freed = patch(Value::Null);
    ensure(hold.status.success() && freed.status.success(), || format!("{hold:?} {freed:?}"))?;
    let ended = ended?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    ensure(ended.status.code() == Some(2), || format!("{:?} {stderr}", ended.status))?;
    for why in [name, "example.org/hold", "next step", "cargo xtask clean"] {
        ensure(stderr.contains(why), || format!("not a word of {why}: {stderr}"))?;
    }
    ensure(took < Duration::from_mins(3), || format!("it took {took:?}"))?;
    ensure(left.contains(&pod), || format!("{left:?}"))?;
    let cleaned = xtask().arg("clean").output()?;
    ensure(cleaned.status.success(), || String::from_utf8_lossy(&cleaned.stderr).into_owned())?;
    nothing_left()
}

fn nothing_left() -> Result<(), Failed> {
    let left = left();
    ensure(left.is_empty(), || format!("left: {left:?}"))
}

fn ended_by(signal: Signal) -> Result<(), Failed> {
    let (running, _) = start()?;
    running.signal(signal)?;
    let output = running.output(Duration::from_mins(1))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_signal = output.status.signal() == Some(signal.as_raw());
    ensure(output.stdout.is_empty() && is_signal, || format!("{:?} {stderr}", output.status))?;
    ensure(stderr.contains("interrupted by SIG"), || stderr.clone().into_owned())?;
    nothing_left()
}

fn killed() -> Result<(), Failed> {
    let (running, pod) = start()?;
    running.signal(Signal::KILL)?;
    running.output(Duration::from_secs(10))?;
    let left = left();
    ensure(left.contains(&pod), || format!("{left:?}"))?;
    let cleaned = xtask().arg("clean").output()?;
    ensure(cleaned.status.success(), || String::from_utf8_lossy(&cleaned.stderr).into_owned())?;
    nothing_left()
}
