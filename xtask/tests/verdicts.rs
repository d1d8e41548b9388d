//! Each verdict has a case in which it fails: one thing of a run that went as predicted is
//! changed, and exactly what depends on it says so.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::time::Duration;

use shm_core::{IpcNamespace, Key};
use xtask::engine::{Policy, discover};
use xtask::observation::{Identity, Made, Observation, State};
use xtask::plan::Plan;
use xtask::report::Report;
use xtask::run::StepResult;
use xtask::script::{Container, article};
use xtask::verdict::{Judge, Verdict};

/// Judges a run that went as predicted, except for what `change` does to a step's observation.
fn judge(change: impl Fn(&str, &mut Observation)) -> Report {
    let plan = Plan::new(article::script(Key::DEFAULT, &[]), Policy::Docker.into()).unwrap();
    let mut judge = Judge::new(Key::DEFAULT, Some(kernel(0)));
    let mut results = Vec::new();
    let mut made_so_far = vec![Made::HOST];
    for planned in plan.stages.iter().flatten() {
        let mut observed = planned.predicted.clone();
        if let Some(Identity::Model(made)) = observed.namespace {
            let number = made_so_far.iter().position(|known| *known == made);
            let number = number.unwrap_or_else(|| {
                made_so_far.push(made);
                made_so_far.len() - 1
            });
            observed.namespace = Some(Identity::Kernel(kernel(number)));
        }
        change(&planned.step.id, &mut observed);
        let verdict = judge.step(planned, &observed);
        results.push(StepResult { planned: planned.clone(), observed: Some(observed), verdict });
    }
    Report::new(discover::model().info, "scratch".into(), &plan, results, Duration::ZERO)
}

/// The inode is the same for all, as it often is in the field; only the ids differ.
fn kernel(number: usize) -> IpcNamespace {
    IpcNamespace::reported(4_026_532_180, 100 + number as u64)
}

fn failed_steps(report: &Report) -> Vec<&str> {
    let failed = report.steps.iter().filter(|step| matches!(step.verdict, Verdict::Fail(_)));
    failed.map(|step| step.planned.step.id.as_str()).collect()
}

fn failed_conclusions(report: &Report) -> Vec<&'static str> {
    let conclusions = report.conclusions.iter();
    let failed = conclusions.filter(|result| matches!(result.verdict, Verdict::Fail(_)));
    failed.map(|result| result.conclusion.id).collect()
}

/// What is changed about an observation.
type Change = fn(&mut Observation);

/// Changes one step alone.
fn at(wanted: &'static str, change: Change) -> impl Fn(&str, &mut Observation) {
    move |step, observed| {
        if step == wanted {
            change(observed);
        }
    }
}

const FOUND: &[u8] = b"h e l l o _ w o r l d \nshm read success\n";
const ROW: &str = "0x0134b3d5 0          root       666        1024       0";

fn finds_the_text(observed: &mut Observation) {
    observed.stdout = FOUND.to_vec();
    observed.stderr.clear();
    observed.exit_code = Some(0);
}

fn lists_the_segment(observed: &mut Observation) {
    observed.stdout.extend(ROW.as_bytes());
}

#[test]
fn a_run_that_goes_as_predicted_passes() {
    let report = judge(|_, _| {});
    assert!(report.passed());
    assert_eq!(failed_steps(&report), [""; 0]);
    assert!(report.conclusions.iter().all(|c| c.observed == Some(true)));
}

#[test]
fn what_b_sees_before_it_wrote_breaks_the_first_conclusion() {
    for (step, change) in
        [("b-list-before", lists_the_segment as Change), ("b-read-before", finds_the_text)]
    {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        assert_eq!(failed_conclusions(&report), ["containers_isolated"], "{step}");
        assert!(!report.passed());
    }
}

#[test]
fn a_text_that_b_wrote_into_a_breaks_the_first_conclusion() {
    let change = |observed: &mut Observation| {
        observed.stdout = b"n i h a o \nshm read success\n".to_vec();
    };
    let report = judge(at("a-read-again", change));
    assert_eq!(failed_conclusions(&report), ["containers_isolated"]);
}

#[test]
fn what_the_host_sees_breaks_the_second_conclusion() {
    for (step, change) in
        [("host-list", lists_the_segment as Change), ("host-read", finds_the_text)]
    {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        assert_eq!(failed_conclusions(&report), ["host_isolated"], "{step}");
    }
}

#[test]
fn what_was_never_there_is_neither_hidden_nor_cleared() {
    let report = judge(at("a-read-again", |observed| {
        observed.exit_code = Some(255);
        observed.stdout = b"shm read failed\n".to_vec();
        observed.stderr = b"shmget failed, errno: 2 msg: No such file or directory\n".to_vec();
    }));
    let all = ["containers_isolated", "host_isolated", "cleared_by_restart"];
    assert_eq!(failed_conclusions(&report), all);
}

#[test]
fn segments_of_others_on_the_host_break_nothing() {
    let change = |observed: &mut Observation| {
        observed.stdout.extend(ROW.replace("0134b3d5", "00000007").as_bytes());
    };
    assert!(judge(at("host-list", change)).passed());
    // In a container there are no others.
    assert_eq!(failed_steps(&judge(at("b-list", change))), ["b-list"]);
}

#[test]
fn what_outlives_the_restart_breaks_the_third_conclusion() {
    for (step, change) in [
        ("a-list-after", lists_the_segment as Change),
        ("b-list-after", lists_the_segment),
        ("a-read-after", finds_the_text),
        ("b-read-after", finds_the_text),
    ] {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        assert_eq!(failed_conclusions(&report), ["cleared_by_restart"], "{step}");
    }
}

#[test]
fn a_failure_for_another_reason_than_enoent_is_no_isolation() {
    let change = |observed: &mut Observation| {
        observed.stderr = b"shmget failed, errno: 13 msg: Permission denied\n".to_vec();
    };
    let report = judge(at("host-read", change));
    assert_eq!(failed_steps(&report), ["host-read"]);
    assert_eq!(failed_conclusions(&report), ["host_isolated"]);
    assert_eq!(report.conclusions[1].observed, None);
}

#[test]
fn an_engine_that_does_not_answer_is_no_isolation() {
    let change = |observed: &mut Observation| {
        *observed = Observation {
            stderr: b"Error: container is not running\n".to_vec(),
            exit_code: Some(1),
            namespace: observed.namespace.clone(),
            ..Observation::default()
        };
    };
    let steps = ["b-list-before", "b-read-before", "host-list", "host-read", "a-list-after"];
    for step in steps {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        assert_eq!(failed_conclusions(&report).len(), 1, "{step}");
    }
}

#[test]
fn a_container_in_the_hosts_namespace_fails_where_it_starts() {
    let host = |observed: &mut Observation| observed.namespace = Some(Identity::Kernel(kernel(0)));
    let report = judge(at("start-a", host));
    assert_eq!(failed_steps(&report), ["start-a"]);
    let Verdict::Fail(difference) = &report.steps[1].verdict else { panic!() };
    assert_eq!(difference.predicted, "a new one, not the host's");
}

#[test]
fn a_namespace_that_is_not_new_after_the_restart_fails_the_start() {
    let old = |observed: &mut Observation| observed.namespace = Some(Identity::Kernel(kernel(1)));
    let report = judge(at("start-a-again", old));
    assert_eq!(failed_steps(&report), ["start-a-again"]);
}

#[test]
fn a_namespace_that_changes_without_a_restart_fails_the_step() {
    let new = |observed: &mut Observation| observed.namespace = Some(Identity::Kernel(kernel(50)));
    let report = judge(at("a-read", new));
    assert_eq!(failed_steps(&report), ["a-read"]);
}

#[test]
fn a_namespace_that_is_not_known_is_no_difference() {
    let unknown = |_: &str, observed: &mut Observation| {
        if observed.namespace.is_some() {
            observed.namespace = Some(Identity::Unknown("another kernel".to_owned()));
        }
    };
    assert!(judge(unknown).passed());
}

#[test]
fn stops_starts_and_listings_of_containers_are_believed_only_as_predicted() {
    let cases: [(&str, Change); 6] = [
        ("stop-a", |observed| observed.state = Some(State::Running)),
        ("start-b-again", |observed| observed.state = Some(State::Exited)),
        ("ps-before", |observed| observed.running = Some(BTreeSet::from([Container("A")]))),
        ("ps-after", |observed| observed.running = Some(BTreeSet::new())),
        ("a-write", |observed| observed.exit_code = Some(255)),
        ("b-write", |observed| observed.exit_code = None),
    ];
    for (step, change) in cases {
        assert_eq!(failed_steps(&judge(at(step, change))), [step]);
    }
}

#[test]
fn every_column_that_counts_in_a_listing_is_compared() {
    for (old, new) in [
        ("666 ", "600 "),
        ("1024", "2048"),
        (" 0                       \n", " 1                       \n"),
        ("0x0134b3d5", "0x0134b3d6"),
    ] {
        let report = judge(|step, observed| {
            if step == "a-list" {
                let text = String::from_utf8(observed.stdout.clone()).unwrap();
                assert!(text.contains(old), "{old:?} in {text}");
                observed.stdout = text.replace(old, new).into_bytes();
            }
        });
        assert_eq!(failed_steps(&report), ["a-list"], "{old:?} -> {new:?}");
    }
}

#[test]
fn shmids_owners_and_a_terminals_line_ends_do_not_count() {
    let report = judge(|step, observed| {
        if step == "b-list" {
            let text = String::from_utf8(observed.stdout.clone()).unwrap();
            let text = text.replace("d5 0 ", "d5 7 ").replace("root", "0   ");
            observed.stdout = text.replace('\n', "\r\n").into_bytes();
        }
    });
    assert!(report.passed(), "{:?}", failed_steps(&report));
}
