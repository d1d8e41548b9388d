//! Faults during a run on a cluster: pods that others change or hold, a missing permission, and
//! signals.

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use shm_testkit::{Failed, Trial};

use crate::cluster::{experiment, image, kubectl, objects, refused, run, trial};
use crate::cluster_errors::{Namespace, configuration, create_account, first_pod, start_in};
use crate::interrupted::Running;
use crate::ledgers;
use crate::machine::xtask;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_pod_that_the_cluster_changed_is_reported_with_the_change", changed),
        trial("without_permission_to_exec_the_run_ends_with_an_error", no_exec),
        trial("the_error_for_a_missing_given_namespace_names_it", no_namespace),
        trial("a_finalizer_is_named_and_clean_works_once_it_is_removed", held),
        trial("clean_removes_what_a_killed_run_leaves", killed),
        trial("sigint_during_a_run_ends_it_and_leaves_nothing", || ended_by(Signal::INT)),
        trial("sigterm_during_a_run_ends_it_and_leaves_nothing", || ended_by(Signal::TERM)),
        trial("sighup_during_a_run_ends_it_and_leaves_nothing", || ended_by(Signal::HUP)),
    ]
}

/// Changes the image of a pod as an admission webhook would, to a registry that does not have it.
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
        assert!(stderr.contains(why), "no {why:?} in: {stderr}");
    }
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}

fn no_exec() -> Result<(), Failed> {
    let namespace = Namespace::new("exec");
    let user = create_account(&namespace, &["pods", "events"])?;
    let (_folder, path) = configuration(None, Some(user))?;
    let args = ["--image", &image(), "--kubeconfig", &path, "--namespace", &namespace.0];
    let (status, stdout, stderr) = run(&args)?;
    assert!(status == Some(2) && stdout.is_empty(), "{status:?} {stderr}\n{stdout}");
    // The run ends at the first tool that cannot be run.
    for why in
        ["writing", "cannot run shm_wr in A", "next step:", "cannot create resource \"pods/exec\""]
    {
        assert!(stderr.contains(why), "no {why:?} in: {stderr}");
    }
    assert!(namespace.pods().is_empty(), "{}", namespace.pods().join(", "));
    Ok(())
}

fn no_namespace() -> Result<(), Failed> {
    let args = ["--image", &image(), "--namespace", "no-such-namespace"];
    refused(&args, "namespaces \"no-such-namespace\" not found")?;
    refused(&args, "next step")
}

/// Returns the objects of the runs of this thread in the cluster.
fn left() -> Vec<String> {
    objects(&ledgers::state())
}

/// Starts a run, which creates its own namespace, and waits for its first pod.
fn start() -> Result<(Running, String), Failed> {
    let mut args = experiment();
    args.extend(["--image", &image()].map(str::to_owned));
    let running = Running::start(args, &std::env::var("PATH")?)?;
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
        assert!(stderr.contains(why), "no {why:?} in: {stderr}");
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
