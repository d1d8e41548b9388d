//! The model of pods is held to what was measured by hand on clusters: Kubernetes 1.20 with
//! containerd 1.6, and 1.36 with containerd 2.1.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use shm_core::Key;
use xtask::engine::Policy;
use xtask::judge::evaluate;
use xtask::judge::results::Visibility;
use xtask::model::plan::Plan;
use xtask::script::matrix::{World, groups};

/// What the model predicts of a mechanism for every mode, event and observer.
fn predicted(mechanism: &str) -> BTreeMap<String, char> {
    let mut cells = BTreeMap::new();
    for group in groups(World::Pods, || Key::DEFAULT, "text") {
        let plan = Plan::new(group.script, Policy::Kubernetes.into()).unwrap();
        for question in group.questions {
            let letter = match evaluate::predicted(&question, &plan) {
                Visibility::Seen => 's',
                Visibility::Absent => '-',
                Visibility::Limited => 'L',
                Visibility::Refused => 'x',
                Visibility::Unknown => '?',
            };
            if let Some(name) = question.cell.to_string().strip_prefix(&format!("{mechanism}/")) {
                cells.insert(name.to_owned(), letter);
            }
        }
    }
    cells
}

/// What the writer's own container, another pod, another container of the pod and the node see; a
/// dot where nobody is there to look.
fn row(mechanism: &str, mode_and_event: &str) -> String {
    let cells = predicted(mechanism);
    let second = if mode_and_event.starts_with("shm-volume") { "apart" } else { "other" };
    let seen = |observer| cells.get(&format!("{mode_and_event}/{observer}")).copied();
    ["own", second, "joiner", "host"].map(|observer| seen(observer).unwrap_or('.')).iter().collect()
}

/// What holds for a segment and for a POSIX object alike.
fn both(mode_and_event: &str) -> String {
    let [sysv, posix] = ["sysv", "posix"].map(|mechanism| row(mechanism, mode_and_event));
    assert_eq!(sysv, posix, "{mode_and_event}");
    sysv
}

#[test]
fn the_containers_of_a_pod_share_and_pods_do_not() {
    assert_eq!(both("pod/writer-exits"), "s-s-");
    // An ephemeral container joins the pod; an init container has been in it.
    assert_eq!(both("pod/debug"), "s-s-");
    assert_eq!(both("init/init-exits"), ".-s-");
    // Replicas are two pods.
    assert_eq!(both("deployment/writer-exits"), "s-.-");
    assert_eq!(both("stateful-set/writer-exits"), "s-.-");
}

#[test]
fn a_container_that_is_restarted_keeps_what_its_pod_holds() {
    assert_eq!(both("pod/crash"), "s-s-");
    assert_eq!(both("pod/image-changed"), "s-s-");
    // Also alone in its pod, whatever looks after that.
    for alone in ["deployment/crash", "stateful-set/crash", "job-on-failure/crash"] {
        assert_eq!(both(alone), "s-.-", "{alone}");
    }
}

#[test]
fn a_kubelet_that_is_restarted_finds_everything_as_it_was() {
    assert_eq!(both("pod/kubelet-restarted"), "s-s-");
}

#[test]
fn with_the_sandbox_or_the_pod_everything_goes() {
    for gone in ["pod/sandbox-killed", "pod/recreate"] {
        assert_eq!(both(gone), "----", "{gone}");
    }
    for gone in ["deployment/replaced", "stateful-set/replaced", "job-never/crash"] {
        assert_eq!(both(gone), "--.-", "{gone}");
    }
}

#[test]
fn a_volume_of_memory_is_shared_by_those_that_mount_it_and_outlives_the_sandbox_alone() {
    for event in ["writer-exits", "crash", "image-changed", "kubelet-restarted"] {
        assert_eq!(row("posix", &format!("shm-volume/{event}")), "s-s-");
        assert_eq!(row("sysv", &format!("shm-volume/{event}")), "sss-");
    }
    assert_eq!(row("posix", "shm-volume/sandbox-killed"), "s-s-");
    assert_eq!(row("sysv", "shm-volume/sandbox-killed"), "----");
    assert_eq!(both("shm-volume/recreate"), "----");
}

#[test]
fn in_the_nodes_namespace_everything_is_shared_and_left_behind() {
    for event in ["writer-exits", "crash", "image-changed", "sandbox-killed", "recreate"] {
        assert_eq!(both(&format!("host-ipc/{event}")), "ssss", "{event}");
    }
    assert_eq!(both("host-ipc/deleted"), ".s.s");
}

#[test]
fn limits_are_the_pods_and_those_that_are_not_safe_are_refused() {
    for limit in ["shmmax", "shmall", "shmmni"] {
        assert_eq!(row("sysv", &format!("pod/{limit}")), "LsLs");
        assert_eq!(row("posix", &format!("pod/{limit}")), "ssss");
    }
    assert_eq!(row("sysv", "pod/rmid-forced"), "-s-s");
    assert_eq!(both("pod/unsafe-sysctl"), "xsxs");
    // Nobody sets the node's.
    assert_eq!(both("host-ipc/rmid-forced"), "xsxs");
    // What is left behind fills the memory, and is not lost when a process is killed for it.
    assert_eq!(both("pod/leak"), "s-s-");
}

#[test]
fn semaphores_and_queues_go_where_the_segments_go() {
    let segments = predicted("sysv");
    for mechanism in ["sem", "msg", "mqueue"] {
        for (cell, seen) in predicted(mechanism) {
            assert_eq!(segments[&cell], seen, "{mechanism}/{cell}");
        }
    }
}
