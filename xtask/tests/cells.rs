//! From the steps of a script to its cells. Each test changes one observation in a run that went as
//! predicted; only the cells that depend on it may change.
#![forbid(unsafe_code)]

use shm_cli::DEFAULT_KEY;
use xtask::engine::observation::{Identity, Observation, State};
use xtask::engine::{EngineInfo, EngineKind, Policy, Rules, discover};
use xtask::judge::evaluate;
use xtask::judge::results::{CellOutcome, CellResult, Run, Visibility};
use xtask::judge::verdict::{Judge, StepResult, Verdict};
use xtask::model::plan::Plan;
use xtask::process::invocation::Output;
use xtask::script::Action;
use xtask::script::matrix::{Group, World, groups};

const TEXT: &str = "text";

fn group(name: &str) -> Group {
    let found = groups(World::Containers, || DEFAULT_KEY, TEXT)
        .into_iter()
        .find(|it| it.script.name == name);
    found.unwrap()
}

fn engine(kind: EngineKind) -> EngineInfo {
    EngineInfo { name: kind, version: "4.3.1".into(), ..discover::model().info }
}

/// Returns a run that goes as predicted, except for the observations that `change` modifies.
fn run(plan: &Plan, change: impl Fn(&str, &mut Observation)) -> Run {
    let mut judge = Judge::new(DEFAULT_KEY, None);
    let mut steps = Vec::new();
    for planned in plan.stages.iter().flatten() {
        let mut observed = planned.predicted.clone();
        change(&planned.step.id, &mut observed);
        let verdict = judge.step(planned, &observed);
        steps.push(StepResult { planned: planned.clone(), observed: Some(observed), verdict });
    }
    Run { steps, aborted: None }
}

fn as_predicted(_: &str, _: &mut Observation) {}

/// Replaces an observation with that of a reader that finds the text.
fn sees_the_text(observed: &mut Observation) {
    let stdout = b"t e x t \nshm read success\n".to_vec();
    let output = Output { stdout, exit_code: Some(0), ..Output::default() };
    *observed = Observation { namespace: observed.namespace.clone(), ..output.into() };
}

fn plan(group: &Group, policy: Policy) -> Plan {
    Plan::new(group.script.clone(), Rules::from(policy)).unwrap()
}

fn judged(group: &Group, kind: EngineKind, runs: &[Run]) -> Vec<CellResult> {
    let (plan, engine) = (plan(group, kind.policy()), engine(kind));
    group.questions.iter().map(|asked| evaluate::judge(asked, 0, &plan, runs, &engine)).collect()
}

/// Returns the cells whose outcome is neither `agrees` nor `refused`.
fn unexpected(cells: &[CellResult]) -> Vec<(String, CellOutcome)> {
    let plain =
        |cell: &&CellResult| matches!(cell.outcome, CellOutcome::Agrees | CellOutcome::Refused);
    let others = cells.iter().filter(|cell| !plain(cell));
    others.map(|cell| (cell.cell.to_string(), cell.outcome)).collect()
}

#[test]
fn a_run_as_predicted_agrees_and_a_refusal_quotes_the_engine() {
    let group = group("private/restart");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "run-joiner" {
            observed.output.stderr = b"non-shareable IPC".to_vec();
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[run]);
    assert_eq!(unexpected(&cells), []);
    let joiner = cells.iter().find(|cell| cell.cell.to_string().ends_with("joiner")).unwrap();
    assert_eq!((joiner.outcome, joiner.sight()), (CellOutcome::Refused, Visibility::Refused));
    assert_eq!(joiner.reason.as_deref(), Some("non-shareable IPC"));
}

#[test]
fn only_the_cell_of_a_reader_that_sees_too_much_differs() {
    let group = group("private/restart");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "host-sysv" {
            sees_the_text(observed);
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[run]);
    let differs = ("sysv/private/restart/host".to_owned(), CellOutcome::Differs);
    assert_eq!(unexpected(&cells), [differs]);
}

#[test]
fn an_error_other_than_enoent_does_not_count_as_isolation() {
    let group = group("private/writer-exits");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "other-sem" {
            observed.output.stderr = b"semget failed, errno: 13 msg: Permission denied\n".to_vec();
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[run]);
    let differs = ("sem/private/writer-exits/other".to_owned(), CellOutcome::Differs);
    assert_eq!(unexpected(&cells), [differs]);
}

#[test]
fn all_cells_of_a_mechanism_differ_if_its_positive_control_fails() {
    let group = group("private/restart");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "control-msg" {
            observed.output.exit_code = Some(255);
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[run]);
    let of_msg = |(cell, outcome): &(String, CellOutcome)| {
        cell.starts_with("msg/") && *outcome == CellOutcome::Differs
    };
    let unexpected = unexpected(&cells);
    assert!(unexpected.iter().all(of_msg) && unexpected.len() == 4, "{unexpected:?}");
}

#[test]
fn only_the_cell_of_an_absence_without_a_successful_control_is_unproven() {
    for (control, change) in [
        ("other-read-control-sem", sees_the_text as fn(&mut Observation)),
        ("other-write-control-sem", |observed| observed.output.exit_code = Some(255)),
    ] {
        let group = group("private/restart");
        let run = run(&plan(&group, Policy::Docker), |step, observed| {
            if step == control {
                change(observed);
            }
        });
        let cells = judged(&group, EngineKind::Docker, &[run]);
        let unproven = ("sem/private/restart/other".to_owned(), CellOutcome::Unproven);
        assert_eq!(unexpected(&cells), [unproven]);
        let cell = cells.iter().find(|cell| cell.outcome == CellOutcome::Unproven).unwrap();
        assert!(cell.reason.as_deref().unwrap().contains(control), "{:?}", cell.reason);
        assert!(cell.steps.iter().any(|step| step == control));
    }
}

#[test]
fn a_cell_with_an_unknown_namespace_is_unproven() {
    let group = group("private/restart");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "host-posix" {
            observed.namespace = Some(Identity::Unknown("no /proc".to_owned()));
        }
    });
    let unproven = ("posix/private/restart/host".to_owned(), CellOutcome::Unproven);
    assert_eq!(unexpected(&judged(&group, EngineKind::Docker, &[run])), [unproven]);
}

#[test]
fn an_event_that_did_not_happen_makes_every_later_cell_differ() {
    let group = group("private/stop-start");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "event-0" {
            observed.state = Some(State::Running);
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[run]);
    assert!(cells.iter().all(|cell| cell.outcome == CellOutcome::Differs));
}

#[test]
fn an_event_that_is_skipped_skips_every_later_cell() {
    let group = group("private/crash");
    let mut run = run(&plan(&group, Policy::Docker), as_predicted);
    let event = run.steps.iter_mut().find(|step| step.planned.step.id == "event-0").unwrap();
    event.verdict = Verdict::Skip("not as this user".to_owned());
    let cells = judged(&group, EngineKind::Docker, &[run]);
    assert!(cells.iter().all(|cell| cell.outcome == CellOutcome::Skipped));
    assert_eq!(cells[0].reason.as_deref(), Some("not as this user"));
}

#[test]
fn the_cells_that_a_script_has_not_reached_are_unclear_and_the_others_keep_their_answers() {
    let group = group("private/restart");
    let whole = run(&plan(&group, Policy::Docker), as_predicted);
    let ended_before = |step: &str| {
        let steps = whole.steps.iter().take_while(|it| it.planned.step.id != step);
        let aborted = Some("starting other: the disk is full".to_owned());
        let run = Run { steps: steps.cloned().collect(), aborted };
        judged(&group, EngineKind::Docker, &[run])
    };
    let cells = ended_before("run-other");
    assert!(cells.iter().all(|cell| cell.outcome == CellOutcome::Unclear));
    let reason = Some("not run: starting other: the disk is full");
    assert!(cells.iter().all(|cell| cell.reason.as_deref() == reason));

    let cells = ended_before("host-write-control-sem");
    let unclear: Vec<_> = unexpected(&cells).into_iter().map(|(cell, _)| cell).collect();
    let of_host = ["sem", "msg", "mqueue", "posix"].map(|it| format!("{it}/private/restart/host"));
    assert!(of_host.iter().all(|cell| unclear.contains(cell)), "{unclear:?}");
    assert!(unclear.iter().all(|cell| cell.ends_with("/host")), "{unclear:?}");
    let control = "its control, step host-write-control-sem, was not run: starting other";
    let cell = cells.iter().find(|it| it.cell.to_string() == of_host[0]).unwrap();
    assert_eq!(cell.outcome, CellOutcome::Unclear);
    assert!(cell.reason.as_deref().unwrap().starts_with(control), "{:?}", cell.reason);
}

#[test]
fn a_run_that_ended_early_does_not_hide_a_difference() {
    let group = group("private/restart");
    let plan = plan(&group, Policy::Docker);
    let mut whole = run(&plan, |step, observed| {
        if step == "own-sysv" {
            sees_the_text(observed);
        }
    });
    whole.steps.retain(|it| !it.planned.step.id.starts_with("host-"));
    whole.aborted = Some("reading in host: killed".to_owned());
    let cells = judged(&group, EngineKind::Docker, &[whole]);
    let differs = ("sysv/private/restart/own".to_owned(), CellOutcome::Differs);
    let unexpected = unexpected(&cells);
    assert!(unexpected.contains(&differs), "{unexpected:?}");
    let count = unexpected.iter().filter(|(_, it)| *it == CellOutcome::Differs).count();
    assert_eq!(count, 1, "{unexpected:?}");
}

#[test]
fn incomplete_runs_complement_each_other_and_hide_no_difference() {
    let group = group("private/restart");
    let plan = plan(&group, Policy::Docker);
    let differs = |step: &str, observed: &mut Observation| {
        if step == "own-sysv" {
            sees_the_text(observed);
        }
    };
    let without = |mut run: Run, place: &str| {
        run.steps.retain(|it| !it.planned.step.id.starts_with(place));
        Run { aborted: Some("killed".to_owned()), ..run }
    };
    let first = without(run(&plan, differs), "host-");
    let unstable = ("sysv/private/restart/own".to_owned(), CellOutcome::Unstable);
    let runs = [first, run(&plan, as_predicted)];
    assert_eq!(unexpected(&judged(&group, EngineKind::Docker, &runs)), [unstable]);

    let as_predicted = || run(&plan, as_predicted);
    let runs = [without(as_predicted(), "host-"), without(as_predicted(), "own-")];
    assert_eq!(unexpected(&judged(&group, EngineKind::Docker, &runs)), []);
}

#[test]
fn a_cell_whose_process_was_not_killed_for_memory_is_asked_again_and_then_unclear() {
    let group = group("private/oom");
    let plan = plan(&group, Policy::Docker);
    let exhausting =
        plan.stages.iter().flatten().find(|it| it.step.action == Action::ExhaustMemory);
    let id = exhausting.unwrap().step.id.clone();
    let survives = run(&plan, |step, observed| {
        if step == id {
            observed.output.exit_code = Some(0);
        }
    });
    assert!(evaluate::is_incomplete(&survives));
    let cells = judged(&group, EngineKind::Docker, &[survives]);
    assert!(cells.iter().any(|cell| cell.outcome == CellOutcome::Unclear));
    assert!(cells.iter().all(|cell| cell.outcome != CellOutcome::Differs));
}

#[test]
fn an_unexpected_refusal_of_an_observer_concerns_its_own_cells() {
    let group = group("shareable/restart");
    let run = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "run-joiner" {
            observed.state = Some(State::Refused);
            observed.output.stderr = b"nope".to_vec();
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[run]);
    let unexpected = unexpected(&cells);
    assert!(unexpected.iter().all(|(cell, _)| cell.ends_with("/joiner")), "{unexpected:?}");
    assert_eq!(unexpected.len(), 6, "{unexpected:?}");
    let reason = cells.iter().find_map(|cell| cell.reason.as_deref());
    assert_eq!(reason, Some("container: predicted running, observed refused: nope"));
}

#[test]
fn a_known_difference_is_a_quirk_on_its_own_engine_only() {
    let group = group("shareable/restart");
    let old_shm = |kind: EngineKind| {
        let change = |step: &str, observed: &mut Observation| {
            if step == "own-posix" {
                sees_the_text(observed);
            }
        };
        judged(&group, kind, &[run(&plan(&group, kind.policy()), change)])
    };
    let cell = "posix/shareable/restart/own".to_owned();
    assert_eq!(unexpected(&old_shm(EngineKind::Podman)), [(cell.clone(), CellOutcome::Quirk)]);
    assert_eq!(unexpected(&old_shm(EngineKind::Docker)), [(cell, CellOutcome::Differs)]);
}

#[test]
fn a_known_difference_does_not_cover_another_difference_in_its_cell() {
    let group = group("shareable/restart");
    let run = run(&plan(&group, Policy::Podman), |step, observed| {
        if step == "own-posix" {
            observed.output.stderr =
                b"shm_open failed, errno: 13 msg: Permission denied\n".to_vec();
        }
    });
    let differs = ("posix/shareable/restart/own".to_owned(), CellOutcome::Differs);
    assert_eq!(unexpected(&judged(&group, EngineKind::Podman, &[run])), [differs]);
}

#[test]
fn a_cell_that_differs_in_some_runs_is_unstable_and_says_in_how_many() {
    let group = group("private/restart");
    let plan = plan(&group, Policy::Docker);
    let once = run(&plan, |step, observed| {
        if step == "own-sysv" {
            sees_the_text(observed);
        }
    });
    let runs = [run(&plan, as_predicted), once, run(&plan, as_predicted)];
    let cells = judged(&group, EngineKind::Docker, &runs);
    let unstable = ("sysv/private/restart/own".to_owned(), CellOutcome::Unstable);
    assert_eq!(unexpected(&cells), [unstable]);
    assert_eq!(cells[0].observed, [Visibility::Absent, Visibility::Seen, Visibility::Absent]);
    assert!(cells[0].reason.as_deref().unwrap().ends_with("(1 of 3 runs)"));
}

#[test]
fn a_limit_that_has_no_effect_differs_and_so_does_one_that_is_inherited() {
    let group = group("private/shmmax");
    let wrote = |observed: &mut Observation| {
        observed.output.exit_code = Some(0);
        observed.output.stdout = b"shm write success\n".to_vec();
        observed.output.stderr.clear();
    };
    let unbound = run(&plan(&group, Policy::Docker), |step, observed| match step {
        "write-own-sysv" => wrote(observed),
        "own-sysv" => sees_the_text(observed),
        _ => {}
    });
    let own = ("sysv/private/shmmax/own".to_owned(), CellOutcome::Differs);
    assert_eq!(unexpected(&judged(&group, EngineKind::Docker, &[unbound])), [own]);

    let inherited = run(&plan(&group, Policy::Docker), |step, observed| {
        if step == "write-other-sysv" {
            observed.output.exit_code = Some(255);
            observed.output.stderr = b"shmget failed, errno: 22 msg: Invalid argument\n".to_vec();
        }
    });
    let cells = judged(&group, EngineKind::Docker, &[inherited]);
    let other = ("sysv/private/shmmax/other".to_owned(), CellOutcome::Differs);
    assert_eq!(unexpected(&cells), [other]);
}
