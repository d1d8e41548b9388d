//! Faults in the middle of a run on a cluster: pods that others change or hold, a right that is missing, and
//! signals.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use shm_testkit::{Failed, Trial};

use crate::cluster::{image, kubectl, objects, refused, run, trial};
use crate::cluster_errors::{Namespace, configuration, first_pod, let_work_in, start_in};
use crate::interrupted::Running;
use crate::ledgers;
use crate::machine::xtask;

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
    let namespace = Namespace::new("changed");
    let running = start_in(&namespace, &[])?;
    let pod = first_pod(&namespace, "-pod-a")?;
    let other = "localhost/no-such-mirror:1";
    let change = kubectl(&["set", "image", &pod, "-n", &namespace.0, &format!("a={other}")]);
    let ended = running.output(Duration::from_mins(3))?;
    assert!(change.status.success(), "{change:?}");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{:?} {stderr}", ended.status);
    let what = format!("spec.containers[a].image is \"{other}\" instead of \"{}\"", image());
    for why in ["the cluster changed pod shm-", &what, "next step"] {
        assert!(stderr.contains(why), "not a word of {why}: {stderr}");
    }
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}

fn no_exec() -> Result<(), Failed> {
    let namespace = Namespace::new("exec");
    let user = let_work_in(&namespace, &["pods", "events"])?;
    let (_folder, path) = configuration(None, Some(user))?;
    let args = ["--image", &image(), "--kubeconfig", &path, "--namespace", &namespace.0];
    let (status, stdout, stderr) = run(&args)?;
    assert!(status == Some(2) && stdout.is_empty(), "{status:?} {stderr}\n{stdout}");
    // At the first tool, not at the first step that is no observation.
    for why in
        ["writing", "cannot run shm_wr in A", "next step:", "cannot create resource \"pods/exec\""]
    {
        assert!(stderr.contains(why), "not a word of {why}: {stderr}");
    }
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
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
        assert!(started.elapsed() < Duration::from_mins(1), "no pod appeared");
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
    assert!(hold.status.success() && freed.status.success(), "{hold:?} {freed:?}");
    let ended = ended?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{:?} {stderr}", ended.status);
    for why in [name, "example.org/hold", "next step", "cargo xtask clean"] {
        assert!(stderr.contains(why), "not a word of {why}: {stderr}");
    }
    assert!(took < Duration::from_mins(3), "it took {took:?}");
    assert!(left.contains(&pod), "{left:?}");
    let cleaned = xtask().arg("clean").output()?;
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    nothing_left();
    Ok(())
}

#[track_caller]
fn nothing_left() {
    let left = left();
    assert!(left.is_empty(), "left: {left:?}");
}

fn ended_by(signal: Signal) -> Result<(), Failed> {
    let (running, _) = start()?;
    running.signal(signal)?;
    let output = running.output(Duration::from_mins(1))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let is_signal = output.status.signal() == Some(signal.as_raw());
    assert!(output.stdout.is_empty() && is_signal, "{:?} {stderr}", output.status);
    assert!(stderr.contains("interrupted by SIG"), "{stderr}");
    nothing_left();
    Ok(())
}

fn killed() -> Result<(), Failed> {
    let (running, pod) = start()?;
    running.signal(Signal::KILL)?;
    running.output(Duration::from_secs(10))?;
    let left = left();
    assert!(left.contains(&pod), "{left:?}");
    let cleaned = xtask().arg("clean").output()?;
    assert!(cleaned.status.success(), "{}", String::from_utf8_lossy(&cleaned.stderr));
    nothing_left();
    Ok(())
}
