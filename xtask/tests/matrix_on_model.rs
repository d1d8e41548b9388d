//! Compares the model with measurements by hand: what each observer sees, by mode and event.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use shm_cli::DEFAULT_KEY;
use xtask::engine::observation::State;
use xtask::engine::{Kernels, Policy, Rules};
use xtask::judge::evaluate;
use xtask::judge::results::Visibility;
use xtask::model::plan::Plan;
use xtask::script::matrix::{World, groups};

/// Returns the prediction of the model for every cell, by name.
fn predicted(rules: impl Into<Rules>) -> BTreeMap<String, Visibility> {
    let rules = rules.into();
    let mut cells = BTreeMap::new();
    for group in groups(World::Containers, || DEFAULT_KEY, "text") {
        let plan = Plan::new(group.script, rules).unwrap();
        for question in group.questions {
            cells.insert(question.cell.to_string(), evaluate::predicted(&question, &plan));
        }
    }
    cells
}

/// Returns what the four observers see of one mechanism, one letter each: `s`een, `-` absent,
/// `L`imited, `x` refused, `?` unknown, `.` no such cell.
fn row(cells: &BTreeMap<String, Visibility>, mechanism: &str, mode: &str, event: &str) -> String {
    let fourth = if mode == "container" { "donor" } else { "joiner" };
    let letter = |observer: &str| match cells.get(&format!("{mechanism}/{mode}/{event}/{observer}"))
    {
        Some(Visibility::Seen) => 's',
        Some(Visibility::Absent) => '-',
        Some(Visibility::Limited) => 'L',
        Some(Visibility::Refused) => 'x',
        Some(Visibility::Unknown) => '?',
        None => '.',
    };
    ["own", "other", fourth, "host"].map(letter).iter().collect()
}

/// Returns the rows of the System V segment and of the POSIX object.
fn rows(cells: &BTreeMap<String, Visibility>, mode: &str, event: &str) -> (String, String) {
    (row(cells, "sysv", mode, event), row(cells, "posix", mode, event))
}

fn pair(sysv: &str, posix: &str) -> (String, String) {
    (sysv.to_owned(), posix.to_owned())
}

#[test]
fn the_model_matches_measurements_on_docker() {
    let cells = predicted(Policy::Docker);
    let rows = |mode, event| rows(&cells, mode, event);
    for event in ["writer-exits", "pause", "oom"] {
        assert_eq!(rows("private", event), pair("s-x-", "s-x-"));
        assert_eq!(rows("shareable", event), pair("s-s-", "s-s-"));
        assert_eq!(rows("none", event), pair("s-x-", "--x-"));
        assert_eq!(rows("host", event), pair("ssss", "ssss"));
        assert_eq!(rows("hostshm", event), pair("s-x-", "ssxs"));
        assert_eq!(rows("container", event), pair("sss-", "sss-"));
    }
    for event in ["stop-start", "kill-start", "restart", "recreate", "crash"] {
        assert_eq!(rows("private", event), pair("--x-", "--x-"));
        // A joiner keeps the namespace that its donor has lost.
        assert_eq!(rows("shareable", event).0, "--s-", "{event}");
        assert_eq!(rows("container", event).0, "sss-", "{event}");
        assert_eq!(rows("host", event).0, "ssss", "{event}");
        assert_eq!(rows("hostshm", event), pair("--x-", "ssxs"));
    }
    // Split brain: the donor has a new namespace, its joiners keep the old one.
    assert_eq!(rows("container", "donor-restarts").0, "ss--");
    assert_eq!(rows("container", "donor-stopped").0, "xs.-");
}

#[test]
fn semaphores_and_queues_are_shared_like_segments() {
    for policy in [Policy::Bare, Policy::Docker, Policy::Podman] {
        let cells = predicted(policy);
        for (cell, sight) in cells.iter().filter(|(cell, _)| cell.starts_with("sysv/")) {
            for mechanism in ["sem", "msg", "mqueue"] {
                // Only shared memory has cells for limits.
                if let Some(theirs) = cells.get(&cell.replacen("sysv", mechanism, 1)) {
                    assert_eq!(sight, theirs, "{mechanism} as {cell}");
                }
            }
        }
    }
}

#[test]
fn limits_apply_to_one_namespace_and_are_not_inherited() {
    let cells = predicted(Policy::Docker);
    let rows = |mode, event| rows(&cells, mode, event);
    for limit in ["shmmax", "shmall", "shmmni"] {
        assert_eq!(rows("private", limit), pair("Lsxs", "ssxs"));
        assert_eq!(rows("shareable", limit), pair("LsLs", "ssss"));
        // A joiner's limit is the donor's.
        assert_eq!(rows("container", limit), pair("LLLs", "ssss"));
        // Engines refuse to set the limits of the host.
        assert_eq!(rows("host", limit), pair("xsxs", "xsxs"));
    }
    assert_eq!(rows("shareable", "rmid-forced"), pair("-s-s", "ssss"));
    assert_eq!(rows("container", "rmid-forced"), pair("---s", "ssss"));
}

#[test]
fn the_size_of_dev_shm_does_not_limit_system_v() {
    let cells = predicted(Policy::Docker);
    assert_eq!(rows(&cells, "private", "shm-size"), pair("ssxs", "Lsxs"));
    assert_eq!(rows(&cells, "shareable", "shm-size"), pair("ssss", "LsLs"));
    // The option is ignored for a /dev/shm that the container does not own.
    assert_eq!(rows(&cells, "container", "shm-size"), pair("ssss", "ssss"));
    assert_eq!(rows(&cells, "host", "shm-size"), pair("ssss", "ssss"));
    assert_eq!(rows(&cells, "none", "shm-size"), pair("ssxs", "--xs"));
    assert_eq!(rows(&predicted(Policy::Podman), "host", "shm-size"), pair("xsxs", "xsxs"));
}

#[test]
fn podman_lets_containers_without_ipc_be_joined_and_keeps_and_starts_donors() {
    let cells = predicted(Policy::Podman);
    assert_eq!(rows(&cells, "none", "writer-exits"), pair("s-s-", "----"));
    // The joiner of a container without /dev/shm gets its own /dev/shm.
    assert_eq!(rows(&cells, "none", "shmmax"), pair("LsLs", "--ss"));
    // Podman does not remove a container that others have joined, so nothing is lost.
    assert_eq!(rows(&cells, "shareable", "recreate").0, "s-s-");
    assert_eq!(rows(&cells, "private", "recreate").0, "--x-");
    // Starting the joiner starts its donor too, in a new namespace.
    assert_eq!(rows(&cells, "container", "donor-stopped").0, "-s.-");
}

#[test]
fn objects_of_a_pod_outlive_its_containers_but_not_the_pod() {
    let cells = predicted(Policy::Podman);
    for event in ["writer-exits", "stop-start", "kill-start", "restart", "recreate", "crash"] {
        assert_eq!(rows(&cells, "pod", event), pair("ssx-", "ssx-"), "{event}");
    }
    assert_eq!(rows(&cells, "pod", "pod-restarts"), pair("--x-", "--x-"));
    assert_eq!(rows(&cells, "pod", "shmmax").0, "LLxs");
}

#[test]
fn containers_with_their_own_kernel_share_only_what_the_engine_mounts() {
    let cells = predicted(Rules { kernels: Kernels::Own, ..Rules::from(Policy::Docker) });
    let rows = |mode, event| rows(&cells, mode, event);
    assert_eq!(rows("private", "writer-exits"), pair("s-x-", "s-x-"));
    assert_eq!(rows("shareable", "writer-exits"), pair("s---", "s-s-"));
    assert_eq!(rows("container", "writer-exits"), pair("s---", "sss-"));
    assert_eq!(rows("container", "restart"), pair("----", "sss-"));
    // Even --ipc=host does not share System V IPC with the host, but it mounts the host's /dev/shm.
    assert_eq!(rows("host", "writer-exits"), pair("s---", "ssss"));
    assert_eq!(rows("none", "writer-exits"), pair("s-x-", "s-x-"));
    // Limits are accepted without effect, except for the size of what the engine mounts.
    assert_eq!(rows("private", "shmmax"), pair("ssxs", "ssxs"));
    assert_eq!(rows("host", "shmmax"), pair("ssss", "ssss"));
    assert_eq!(rows("private", "shm-size"), pair("ssxs", "Lsxs"));
}

#[test]
fn a_file_on_a_volume_is_seen_by_every_running_container() {
    for policy in [Policy::Bare, Policy::Docker, Policy::Podman] {
        for (cell, sight) in predicted(policy).iter().filter(|(cell, _)| cell.starts_with("file/"))
        {
            assert!(matches!(sight, Visibility::Seen | Visibility::Refused), "{cell}: {sight:?}");
        }
    }
}

#[test]
fn every_script_reads_back_what_it_wrote_before_the_event() {
    for group in groups(World::Containers, || DEFAULT_KEY, "text") {
        let ids: Vec<_> = group.script.steps().map(|step| step.id.clone()).collect();
        let position = |id: &str| ids.iter().position(|it| it == id);
        let name = group.script.name.clone();
        if let Some(control) = position("control-sysv") {
            assert!(position("write-sysv").unwrap() < control, "{name}");
            assert!(control < position("own-sysv").unwrap(), "{name}");
        } else {
            // If the event is a limit, each observer reads what it tried to write itself.
            assert!(position("write-own-sysv").unwrap() < position("own-sysv").unwrap(), "{name}");
        }
        let plan = Plan::new(group.script, Policy::Docker.into()).unwrap();
        let run = plan.stages.iter().flatten().find(|planned| planned.step.id == "run-writer");
        let refused = name.starts_with("host/") && position("write-own-sysv").is_some();
        let state =
            if refused && !name.ends_with("shm-size") { State::Refused } else { State::Running };
        assert_eq!(run.unwrap().predicted.state, Some(state), "{name}");
    }
}
