//! Compares the model of pods with measurements by hand on clusters: Kubernetes 1.20 with
//! containerd 1.6, and 1.36 with containerd 2.1.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use shm_cli::DEFAULT_KEY;
use xtask::engine::Policy;
use xtask::judge::evaluate;
use xtask::judge::results::Visibility;
use xtask::model::plan::Plan;
use xtask::script::matrix::{World, groups};

/// Returns the predictions of the model for a mechanism, by mode, event and observer.
fn predicted(mechanism: &str) -> BTreeMap<String, char> {
    let mut cells = BTreeMap::new();
    for group in groups(World::Pods, || DEFAULT_KEY, "text") {
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

/// Returns what the writer's container, another pod, another container of the pod and the node see;
/// a dot means that the cell has no such observer.
fn row(mechanism: &str, mode_and_event: &str) -> String {
    let cells = predicted(mechanism);
    let second = if mode_and_event.starts_with("shm-volume") { "apart" } else { "other" };
    let seen = |observer| cells.get(&format!("{mode_and_event}/{observer}")).copied();
    ["own", second, "joiner", "host"].map(|observer| seen(observer).unwrap_or('.')).iter().collect()
}

/// Returns the row of a segment, which must equal the row of a POSIX object.
fn both(mode_and_event: &str) -> String {
    let [sysv, posix] = ["sysv", "posix"].map(|mechanism| row(mechanism, mode_and_event));
    assert_eq!(sysv, posix, "{mode_and_event}");
    sysv
}

#[test]
fn containers_share_within_a_pod_and_not_between_pods() {
    assert_eq!(both("pod/writer-exits"), "s-s-");
    // An ephemeral container joins the pod; an init container was part of it.
    assert_eq!(both("pod/debug"), "s-s-");
    assert_eq!(both("init/init-exits"), ".-s-");
    // Replicas are two pods.
    assert_eq!(both("deployment/writer-exits"), "s-.-");
    assert_eq!(both("stateful-set/writer-exits"), "s-.-");
}

#[test]
fn a_restarted_container_keeps_the_objects_of_its_pod() {
    assert_eq!(both("pod/crash"), "s-s-");
    assert_eq!(both("pod/image-changed"), "s-s-");
    // Also if it is the only container of its pod, whatever controls the pod.
    for alone in ["deployment/crash", "stateful-set/crash", "job-on-failure/crash"] {
        assert_eq!(both(alone), "s-.-", "{alone}");
    }
}

#[test]
fn a_restarted_kubelet_changes_nothing() {
    assert_eq!(both("pod/kubelet-restarted"), "s-s-");
}

#[test]
fn everything_is_lost_with_the_sandbox_or_the_pod() {
    for gone in ["pod/sandbox-killed", "pod/recreate"] {
        assert_eq!(both(gone), "----", "{gone}");
    }
    for gone in ["deployment/replaced", "stateful-set/replaced", "job-never/crash"] {
        assert_eq!(both(gone), "--.-", "{gone}");
    }
}

#[test]
fn a_memory_volume_is_shared_by_its_mounts_and_outlives_the_sandbox_but_not_the_pod() {
    for event in ["writer-exits", "crash", "image-changed", "kubelet-restarted"] {
        assert_eq!(row("posix", &format!("shm-volume/{event}")), "s-s-");
        assert_eq!(row("sysv", &format!("shm-volume/{event}")), "sss-");
    }
    assert_eq!(row("posix", "shm-volume/sandbox-killed"), "s-s-");
    assert_eq!(row("sysv", "shm-volume/sandbox-killed"), "----");
    assert_eq!(both("shm-volume/recreate"), "----");
}

#[test]
fn in_the_ipc_namespace_of_the_node_everything_is_shared_and_left_behind() {
    for event in ["writer-exits", "crash", "image-changed", "sandbox-killed", "recreate"] {
        assert_eq!(both(&format!("host-ipc/{event}")), "ssss", "{event}");
    }
    assert_eq!(both("host-ipc/deleted"), ".s.s");
}

#[test]
fn limits_apply_to_the_pod_and_unsafe_sysctls_are_refused() {
    for limit in ["shmmax", "shmall", "shmmni"] {
        assert_eq!(row("sysv", &format!("pod/{limit}")), "LsLs");
        assert_eq!(row("posix", &format!("pod/{limit}")), "ssss");
    }
    assert_eq!(row("sysv", "pod/rmid-forced"), "-s-s");
    assert_eq!(both("pod/unsafe-sysctl"), "xsxs");
    // The limits of the node cannot be set.
    assert_eq!(both("host-ipc/rmid-forced"), "xsxs");
    // Objects that were left behind fill the memory; killing a process for it does not free them.
    assert_eq!(both("pod/leak"), "s-s-");
}

#[test]
fn semaphores_and_queues_are_shared_like_segments() {
    let segments = predicted("sysv");
    for mechanism in ["sem", "msg", "mqueue"] {
        for (cell, seen) in predicted(mechanism) {
            assert_eq!(segments[&cell], seen, "{mechanism}/{cell}");
        }
    }
}
