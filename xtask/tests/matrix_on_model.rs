//! The model is held to what was measured by hand: who sees what, in which mode, after which event.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use shm_core::Key;
use xtask::engine::Policy;
use xtask::observation::State;
use xtask::plan::Plan;
use xtask::report::grid::Sight;
use xtask::script::matrix::{Group, groups};

/// What the model predicts for every cell, by name; cells without a reader are refused.
fn predicted(policy: Policy) -> BTreeMap<String, Sight> {
    let mut cells = BTreeMap::new();
    for Group { script, cells: questions } in groups(|| Key::DEFAULT, "text") {
        let plan = Plan::new(script, policy).unwrap();
        for (cell, step) in questions {
            let planned = plan.stages.iter().flatten().find(|planned| planned.step.id == step);
            let sight = planned.map_or(Sight::Refused, |planned| Sight::of(&planned.predicted));
            cells.insert(cell.to_string(), sight);
        }
    }
    cells
}

/// What the four observers see of one mechanism, in a row: `s`een, `-` absent, `x` refused.
fn row(cells: &BTreeMap<String, Sight>, mechanism: &str, mode: &str, event: &str) -> String {
    let fourth = if mode == "container" { "donor" } else { "joiner" };
    let letter = |observer: &str| match cells.get(&format!("{mechanism}/{mode}/{event}/{observer}"))
    {
        Some(Sight::Seen) => 's',
        Some(Sight::Absent) => '-',
        Some(Sight::Refused) => 'x',
        Some(Sight::Unknown) => '?',
        None => '.',
    };
    ["own", "other", fourth, "host"].map(letter).iter().collect()
}

#[test]
fn what_was_measured_on_docker_is_what_the_model_says() {
    let cells = predicted(Policy::ShareableDonors);
    let sysv = |mode, event| row(&cells, "sysv", mode, event);
    let posix = |mode, event| row(&cells, "posix", mode, event);
    for event in ["writer-exits", "pause"] {
        assert_eq!(
            (sysv("private", event), posix("private", event)),
            ("s-x-".into(), "s-x-".into())
        );
        assert_eq!(
            (sysv("shareable", event), posix("shareable", event)),
            ("s-s-".into(), "s-s-".into())
        );
        assert_eq!((sysv("none", event), posix("none", event)), ("s-x-".into(), "--x-".into()));
        assert_eq!((sysv("host", event), posix("host", event)), ("ssss".into(), "ssss".into()));
        assert_eq!(
            (sysv("hostshm", event), posix("hostshm", event)),
            ("s-x-".into(), "ssxs".into())
        );
        assert_eq!(
            (sysv("container", event), posix("container", event)),
            ("sss-".into(), "sss-".into())
        );
    }
    for event in ["stop-start", "kill-start", "restart", "recreate"] {
        assert_eq!(
            (sysv("private", event), posix("private", event)),
            ("--x-".into(), "--x-".into())
        );
        // A joiner keeps what the one it joined has lost.
        assert_eq!(sysv("shareable", event), "--s-", "{event}");
        assert_eq!(sysv("container", event), "sss-", "{event}");
        assert_eq!(sysv("host", event), "ssss", "{event}");
        assert_eq!(
            (sysv("hostshm", event), posix("hostshm", event)),
            ("--x-".into(), "ssxs".into())
        );
    }
    // Split brain: the donor has a new namespace, its joiners keep the old one.
    assert_eq!(sysv("container", "donor-restarts"), "ss--");
    assert_eq!(sysv("container", "donor-stopped"), "xs.-");
}

#[test]
fn podman_lets_none_be_joined_keeps_donors_and_starts_them() {
    let cells = predicted(Policy::GuardedDonors);
    assert_eq!(row(&cells, "sysv", "none", "writer-exits"), "s-s-");
    assert_eq!(row(&cells, "posix", "none", "writer-exits"), "----");
    // A container that was joined is not removed, so nothing is lost.
    assert_eq!(row(&cells, "sysv", "shareable", "recreate"), "s-s-");
    assert_eq!(row(&cells, "sysv", "private", "recreate"), "--x-");
    // The donor comes back with the joiner, in a new namespace.
    assert_eq!(row(&cells, "sysv", "container", "donor-stopped"), "-s.-");
}

#[test]
fn a_file_on_a_volume_is_seen_by_all_who_run_whatever_happens() {
    for policy in [Policy::Anything, Policy::ShareableDonors, Policy::GuardedDonors] {
        for (cell, sight) in predicted(policy).iter().filter(|(cell, _)| cell.starts_with("file/"))
        {
            assert!(matches!(sight, Sight::Seen | Sight::Refused), "{cell}: {sight:?}");
        }
    }
}

#[test]
fn every_script_reads_back_what_it_wrote_before_anything_happens() {
    for Group { script, .. } in groups(|| Key::DEFAULT, "text") {
        let ids: Vec<_> = script.steps().map(|step| step.id.clone()).collect();
        let position = |id: &str| ids.iter().position(|it| it == id).unwrap();
        assert!(position("write-sysv") < position("control-sysv"), "{}", script.name);
        assert!(position("control-sysv") < position("own-sysv"), "{}", script.name);
        let plan = Plan::new(script, Policy::ShareableDonors).unwrap();
        let run = plan.stages.iter().flatten().find(|planned| planned.step.id == "run-writer");
        assert_eq!(run.unwrap().predicted.state, Some(State::Running));
    }
}
