//! The model is held to what was measured by hand: who sees what, in which mode, after which event.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use shm_core::Key;
use xtask::engine::observation::State;
use xtask::engine::{Kernels, Policy, Rules};
use xtask::judge::evaluate;
use xtask::judge::results::Visibility;
use xtask::model::plan::Plan;
use xtask::script::matrix::{World, groups};

/// What the model predicts for every cell, by name.
fn predicted(rules: impl Into<Rules>) -> BTreeMap<String, Visibility> {
    let rules = rules.into();
    let mut cells = BTreeMap::new();
    for group in groups(World::Containers, || Key::DEFAULT, "text") {
        let plan = Plan::new(group.script, rules).unwrap();
        for question in group.questions {
            cells.insert(question.cell.to_string(), evaluate::predicted(&question, &plan));
        }
    }
    cells
}

/// What the four observers see of one mechanism, in a row: `s`een, `-` absent, `L`imited, `x`
/// refused.
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

/// The rows of the System V segment and of the POSIX object.
fn rows(cells: &BTreeMap<String, Visibility>, mode: &str, event: &str) -> (String, String) {
    (row(cells, "sysv", mode, event), row(cells, "posix", mode, event))
}

fn pair(sysv: &str, posix: &str) -> (String, String) {
    (sysv.to_owned(), posix.to_owned())
}

#[test]
fn what_was_measured_on_docker_is_what_the_model_says() {
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
        // A joiner keeps what the one it joined has lost.
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
fn semaphores_and_queues_go_where_the_segments_go() {
    for policy in [Policy::Bare, Policy::Docker, Policy::Podman] {
        let cells = predicted(policy);
        for (cell, sight) in cells.iter().filter(|(cell, _)| cell.starts_with("sysv/")) {
            for mechanism in ["sem", "msg", "mqueue"] {
                // Limits are asked of memory alone.
                if let Some(theirs) = cells.get(&cell.replacen("sysv", mechanism, 1)) {
                    assert_eq!(sight, theirs, "{mechanism} as {cell}");
                }
            }
        }
    }
}

#[test]
fn limits_bind_the_namespace_and_are_not_inherited() {
    let cells = predicted(Policy::Docker);
    let rows = |mode, event| rows(&cells, mode, event);
    for limit in ["shmmax", "shmall", "shmmni"] {
        assert_eq!(rows("private", limit), pair("Lsxs", "ssxs"));
        assert_eq!(rows("shareable", limit), pair("LsLs", "ssss"));
        // A joiner's limit is the donor's.
        assert_eq!(rows("container", limit), pair("LLLs", "ssss"));
        // Nobody sets the host's.
        assert_eq!(rows("host", limit), pair("xsxs", "xsxs"));
    }
    assert_eq!(rows("shareable", "rmid-forced"), pair("-s-s", "ssss"));
    assert_eq!(rows("container", "rmid-forced"), pair("---s", "ssss"));
}

#[test]
fn the_size_of_dev_shm_is_its_own_and_nothing_to_system_v() {
    let cells = predicted(Policy::Docker);
    assert_eq!(rows(&cells, "private", "shm-size"), pair("ssxs", "Lsxs"));
    assert_eq!(rows(&cells, "shareable", "shm-size"), pair("ssss", "LsLs"));
    // It is ignored where it is not the container's own.
    assert_eq!(rows(&cells, "container", "shm-size"), pair("ssss", "ssss"));
    assert_eq!(rows(&cells, "host", "shm-size"), pair("ssss", "ssss"));
    assert_eq!(rows(&cells, "none", "shm-size"), pair("ssxs", "--xs"));
    assert_eq!(rows(&predicted(Policy::Podman), "host", "shm-size"), pair("xsxs", "xsxs"));
}

#[test]
fn podman_lets_none_be_joined_keeps_donors_and_starts_them() {
    let cells = predicted(Policy::Podman);
    assert_eq!(rows(&cells, "none", "writer-exits"), pair("s-s-", "----"));
    // The joiner of one without a /dev/shm gets its own.
    assert_eq!(rows(&cells, "none", "shmmax"), pair("LsLs", "--ss"));
    // A container that was joined is not removed, so nothing is lost.
    assert_eq!(rows(&cells, "shareable", "recreate").0, "s-s-");
    assert_eq!(rows(&cells, "private", "recreate").0, "--x-");
    // The donor comes back with the joiner, in a new namespace.
    assert_eq!(rows(&cells, "container", "donor-stopped").0, "-s.-");
}

#[test]
fn in_a_pod_everything_outlives_the_containers_and_nothing_the_pod() {
    let cells = predicted(Policy::Podman);
    for event in ["writer-exits", "stop-start", "kill-start", "restart", "recreate", "crash"] {
        assert_eq!(rows(&cells, "pod", event), pair("ssx-", "ssx-"), "{event}");
    }
    assert_eq!(rows(&cells, "pod", "pod-restarts"), pair("--x-", "--x-"));
    assert_eq!(rows(&cells, "pod", "shmmax").0, "LLxs");
}

#[test]
fn a_kernel_of_its_own_shares_only_what_the_engine_mounts() {
    let cells = predicted(Rules { policy: Policy::Docker, kernels: Kernels::Own });
    let rows = |mode, event| rows(&cells, mode, event);
    assert_eq!(rows("private", "writer-exits"), pair("s-x-", "s-x-"));
    assert_eq!(rows("shareable", "writer-exits"), pair("s---", "s-s-"));
    assert_eq!(rows("container", "writer-exits"), pair("s---", "sss-"));
    assert_eq!(rows("container", "restart"), pair("----", "sss-"));
    // Not even the host's mode shares System V with the host; its /dev/shm is there.
    assert_eq!(rows("host", "writer-exits"), pair("s---", "ssss"));
    assert_eq!(rows("none", "writer-exits"), pair("s-x-", "s-x-"));
    // Limits are taken and not heeded, but for the size of what the engine mounts.
    assert_eq!(rows("private", "shmmax"), pair("ssxs", "ssxs"));
    assert_eq!(rows("host", "shmmax"), pair("ssss", "ssss"));
    assert_eq!(rows("private", "shm-size"), pair("ssxs", "Lsxs"));
}

#[test]
fn a_file_on_a_volume_is_seen_by_all_who_run_whatever_happens() {
    for policy in [Policy::Bare, Policy::Docker, Policy::Podman] {
        for (cell, sight) in predicted(policy).iter().filter(|(cell, _)| cell.starts_with("file/"))
        {
            assert!(matches!(sight, Visibility::Seen | Visibility::Refused), "{cell}: {sight:?}");
        }
    }
}

#[test]
fn every_script_reads_back_what_it_wrote_before_anything_happens() {
    for group in groups(World::Containers, || Key::DEFAULT, "text") {
        let ids: Vec<_> = group.script.steps().map(|step| step.id.clone()).collect();
        let position = |id: &str| ids.iter().position(|it| it == id);
        let name = group.script.name.clone();
        if let Some(control) = position("control-sysv") {
            assert!(position("write-sysv").unwrap() < control, "{name}");
            assert!(control < position("own-sysv").unwrap(), "{name}");
        } else {
            // Where the event is a limit, each observer reads what it tried to write itself.
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
