//! A failing case for each verdict. Each test changes one observation in a run that went as
//! predicted; exactly the verdicts that depend on it must change.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::time::Duration;

use shm_cli::DEFAULT_KEY;
use shm_core::IpcNamespace;
use xtask::engine::kubernetes::nodes::Node;
use xtask::engine::observation::{Identity, ModelNamespace, Observation, State};
use xtask::engine::{Policy, discover};
use xtask::judge::exit_code::Exit;
use xtask::judge::verdict::{Judge, StepResult, Verdict};
use xtask::model::plan::Plan;
use xtask::process::invocation::Output;
use xtask::report::nodes::{NodeOutcome, NodeResult, NodesReport};
use xtask::report::{Format, Report};
use xtask::script::{Action, Container, article};

/// Judges a run that went as predicted, except for the observations that `change` modifies.
fn judge(change: impl Fn(&str, &mut Observation)) -> Report {
    let plan =
        Plan::new(article::script(DEFAULT_KEY, &[], "fresh"), Policy::Docker.into()).unwrap();
    let mut judge = Judge::new(DEFAULT_KEY, Some(kernel(0)));
    let mut results = Vec::new();
    let mut made_so_far = vec![ModelNamespace::HOST];
    for planned in plan.stages.iter().flatten() {
        let mut observed = planned.predicted.clone();
        if let Some(Identity::Model(made)) = observed.namespace {
            let number = made_so_far.iter().position(|known| *known == made);
            let number = number.unwrap_or_else(|| {
                made_so_far.push(made);
                made_so_far.len() - 1
            });
            observed.namespace = Some(Identity::Kernel(kernel(number)));
            if matches!(planned.step.action, Action::Control(..)) {
                name_namespace(&mut observed, number);
            }
        }
        change(&planned.step.id, &mut observed);
        let verdict = judge.step(planned, &observed);
        observed.namespace = observed.identity(&planned.step.action);
        results.push(StepResult { planned: planned.clone(), observed: Some(observed), verdict });
    }
    Report::new(discover::model().info, "scratch".into(), &plan, results, Duration::ZERO)
}

/// Sets the output of a control's writer, which names its IPC namespace.
fn name_namespace(observed: &mut Observation, number: usize) {
    let namespace = format!(r#"{{"inode":{},"id":{}}}"#, kernel(number).inode(), 100 + number);
    observed.output.stdout = format!(r#"{{"ok":true,"ipc_namespace":{namespace}}}"#).into_bytes();
}

/// Appends the cause that a reader prints if it finds nothing; the cause names the namespace.
fn finds_nothing_in(observed: &mut Observation, number: usize) {
    let cause = format!(
        "cause: no segment has key 0x0134b3d5 in this IPC namespace, {}; it has no segments\n",
        kernel(number)
    );
    observed.output.stderr.extend(cause.as_bytes());
}

/// Returns a namespace. All have the same inode, because kernels reuse inodes; only the ids differ.
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

/// A change of an observation.
type Change = fn(&mut Observation);

/// Applies a change to the observation of one step only.
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
    observed.output.stdout = FOUND.to_vec();
    observed.output.stderr.clear();
    observed.output.exit_code = Some(0);
}

fn lists_the_segment(observed: &mut Observation) {
    observed.output.stdout.extend(ROW.as_bytes());
}

#[test]
fn a_run_that_goes_as_predicted_passes() {
    let report = judge(|_, _| {});
    assert!(report.passed());
    assert_eq!(failed_steps(&report), [""; 0]);
    assert!(report.conclusions.iter().all(|c| c.observed == Some(true)));
}

#[test]
fn a_segment_in_b_before_its_write_breaks_the_first_conclusion() {
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
        observed.output.stdout = b"n i h a o \nshm read success\n".to_vec();
    };
    let report = judge(at("a-read-again", change));
    assert_eq!(failed_conclusions(&report), ["containers_isolated"]);
}

#[test]
fn a_segment_on_the_host_breaks_the_second_conclusion() {
    for (step, change) in
        [("host-list", lists_the_segment as Change), ("host-read", finds_the_text)]
    {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        assert_eq!(failed_conclusions(&report), ["host_isolated"], "{step}");
    }
}

#[test]
fn a_text_that_was_never_there_breaks_every_conclusion() {
    let report = judge(at("a-read-again", |observed| {
        observed.output.exit_code = Some(255);
        observed.output.stdout = b"shm read failed\n".to_vec();
        observed.output.stderr =
            b"shmget failed, errno: 2 msg: No such file or directory\n".to_vec();
    }));
    let all = ["containers_isolated", "host_isolated", "cleared_by_restart"];
    assert_eq!(failed_conclusions(&report), all);
}

#[test]
fn segments_of_others_on_the_host_break_nothing() {
    let change = |observed: &mut Observation| {
        observed.output.stdout.extend(ROW.replace("0134b3d5", "00000007").as_bytes());
    };
    assert!(judge(at("host-list", change)).passed());
    // A container has no segments of other users.
    assert_eq!(failed_steps(&judge(at("b-list", change))), ["b-list"]);
}

#[test]
fn a_segment_after_the_restart_breaks_the_third_conclusion() {
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
fn an_error_other_than_enoent_does_not_count_as_isolation() {
    let change = |observed: &mut Observation| {
        observed.output.stderr = b"shmget failed, errno: 13 msg: Permission denied\n".to_vec();
    };
    let report = judge(at("host-read", change));
    assert_eq!(failed_steps(&report), ["host-read"]);
    assert_eq!(failed_conclusions(&report), ["host_isolated"]);
    assert_eq!(report.conclusions[1].observed, None);
}

#[test]
fn an_engine_error_does_not_count_as_isolation() {
    let change = |observed: &mut Observation| {
        observed.output = Output {
            stderr: b"Error: container is not running\n".to_vec(),
            exit_code: Some(1),
            ..Output::default()
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

/// Returns the conclusions that are unproven, with the reasons.
fn unproven(report: &Report) -> Vec<(&'static str, String)> {
    let conclusions = report.conclusions.iter();
    let unproven = conclusions.filter_map(|it| match &it.verdict {
        Verdict::Unproven(why) => Some((it.conclusion.id, why.clone())),
        _ => None,
    });
    unproven.collect()
}

fn names(unproven: &[(&'static str, String)]) -> Vec<&'static str> {
    unproven.iter().map(|(name, _)| *name).collect()
}

#[test]
fn an_unknown_namespace_is_no_difference_and_proves_nothing() {
    let unknown = |_: &str, observed: &mut Observation| {
        if observed.namespace.is_some() {
            observed.namespace = Some(Identity::Unknown("another user's".to_owned()));
        }
    };
    let report = judge(unknown);
    assert_eq!((failed_steps(&report), report.word()), (vec![], "unproven"));
    let unproven = unproven(&report);
    assert_eq!(names(&unproven), ["containers_isolated", "host_isolated", "cleared_by_restart"]);
    assert!(unproven[2].1.contains("another user's") && unproven[2].1.contains("-after"));
    assert_the_row_of_a_node_is_unproven(report);
}

fn assert_the_row_of_a_node_is_unproven(report: Report) {
    let name = "a".parse().unwrap();
    let node = Node { name, runtime: "runtime".into(), kernel: "kernel".into(), unfit: None };
    let outcome = NodeOutcome::Judged(Box::new(report));
    let nodes = vec![NodeResult { node, duration: Duration::ZERO, outcome }];
    let report = NodesReport { engine: discover::model().info, duration: Duration::ZERO, nodes };
    let mut out = Vec::new();
    report.write(Format::Markdown, &mut out).unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert!(shown.contains("| a | runtime | kernel | 0 ms | unproven | "), "{shown}");
    assert!(shown.contains("0 not as predicted, 1 unproven"), "{shown}");
    assert_eq!(report.exit(), Exit::Differs);
}

#[test]
fn with_a_namespace_of_another_kernel_outputs_and_controls_decide() {
    let foreign = |_: &str, observed: &mut Observation| {
        if observed.namespace.is_some() {
            observed.namespace = Some(Identity::Foreign("the sandbox's own".to_owned()));
        }
    };
    assert!(judge(foreign).passed());
    let replayed = |step: &str, observed: &mut Observation| {
        foreign(step, observed);
        if step == "a-read-control-after" {
            observed.output.stdout = b"shm read failed\n".to_vec();
            observed.output.exit_code = Some(255);
        }
    };
    assert_eq!(names(&unproven(&judge(replayed))), ["cleared_by_restart"]);
}

#[test]
fn a_step_fails_if_process_and_engine_name_different_namespaces() {
    let elsewhere = |wanted: &'static str, number: usize| {
        move |step: &str, observed: &mut Observation| {
            if step == wanted {
                finds_nothing_in(observed, number);
            }
        }
    };
    // A#2 is the fourth namespace that is created, B#2 the third.
    assert!(judge(elsewhere("a-read-after", 4)).passed());
    let report = judge(elsewhere("a-read-after", 3));
    assert_eq!(failed_steps(&report), ["a-read-after"]);
    assert_eq!(names(&unproven(&report)), ["cleared_by_restart"]);
    let Verdict::Fail(difference) =
        &report.steps.iter().find(|it| it.planned.step.id == "a-read-after").unwrap().verdict
    else {
        panic!()
    };
    assert!(difference.predicted.ends_with("id 104 according to the engine"), "{difference}");
    assert!(difference.observed.contains("id 103"), "{difference}");
}

#[test]
fn a_process_names_its_namespace_if_the_engine_does_not() {
    let silent = |step: &str, observed: &mut Observation| {
        if step.starts_with("a-read-after") || step == "a-list-after" {
            observed.namespace = Some(Identity::Unknown("no pid".to_owned()));
            finds_nothing_in(observed, 4);
        }
    };
    let report = judge(silent);
    assert_eq!(failed_steps(&report), [""; 0]);
    // The listing names no namespace.
    assert_eq!(names(&unproven(&report)), ["cleared_by_restart"]);
    let old = |step: &str, observed: &mut Observation| {
        silent(step, observed);
        if step == "a-read-after" {
            observed.output.stderr.clear();
            observed
                .output
                .stderr
                .extend(b"shmget failed, errno: 2 msg: No such file or directory\n");
            finds_nothing_in(observed, 1);
        }
    };
    assert_eq!(failed_steps(&judge(old)), ["a-read-after"]);
}

#[test]
fn absence_without_a_successful_control_proves_nothing() {
    let not_read: Change =
        |observed| observed.output.stdout = b"n i h a o \nshm read success\n".to_vec();
    let there: Change = |observed| observed.output.exit_code = Some(255);
    let mute: Change = |observed| observed.output.stdout = b"{}".to_vec();
    for (step, change, conclusion) in [
        ("host-read-control", not_read, "host_isolated"),
        ("a-write-control-after", there, "cleared_by_restart"),
        ("b-write-control-after", mute, "cleared_by_restart"),
        ("b-read-control-after", not_read, "cleared_by_restart"),
    ] {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        let unproven = unproven(&report);
        assert_eq!(names(&unproven), [conclusion], "{step}");
        assert!(unproven[0].1.contains(step), "{unproven:?}");
        assert!(!report.passed() && report.word() == "fail");
    }
}

#[test]
fn a_text_that_everybody_knows_proves_nothing() {
    let known: Change =
        |observed| observed.output.stdout = b"h e l l o _ w o r l d \nshm read success\n".to_vec();
    let mute: Change = |observed| observed.output.stdout = b"{}".to_vec();
    let all = ["containers_isolated", "host_isolated", "cleared_by_restart"];
    for (step, change) in [("a-read-fresh", known), ("a-write-fresh", mute)] {
        let report = judge(at(step, change));
        assert_eq!(failed_steps(&report), [step]);
        assert_eq!(names(&unproven(&report)), all, "{step}");
    }
}

#[test]
fn evidence_in_a_namespace_from_before_the_restart_proves_nothing() {
    let old = |step: &str, observed: &mut Observation| {
        if step.starts_with("a-") && step.ends_with("-after") || step == "start-a-again" {
            observed.namespace = Some(Identity::Kernel(kernel(1)));
            if step == "a-write-control-after" {
                name_namespace(observed, 1);
            }
        }
    };
    assert_eq!(names(&unproven(&judge(old))), ["cleared_by_restart"]);
}

#[test]
fn stops_starts_writes_and_listings_of_containers_must_be_as_predicted() {
    let cases: [(&str, Change); 6] = [
        ("stop-a", |observed| observed.state = Some(State::Running)),
        ("start-b-again", |observed| observed.state = Some(State::Exited)),
        ("ps-before", |observed| observed.running = Some(BTreeSet::from([Container("A")]))),
        ("ps-after", |observed| observed.running = Some(BTreeSet::new())),
        ("a-write", |observed| observed.output.exit_code = Some(255)),
        ("b-write", |observed| observed.output.exit_code = None),
    ];
    for (step, change) in cases {
        assert_eq!(failed_steps(&judge(at(step, change))), [step]);
    }
}

#[test]
fn every_relevant_column_of_a_listing_is_compared() {
    for (old, new) in [
        ("666 ", "600 "),
        ("1024", "2048"),
        (" 0                       \n", " 1                       \n"),
        ("0x0134b3d5", "0x0134b3d6"),
    ] {
        let report = judge(|step, observed| {
            if step == "a-list" {
                let text = String::from_utf8(observed.output.stdout.clone()).unwrap();
                assert!(text.contains(old), "{old:?} in {text}");
                observed.output.stdout = text.replace(old, new).into_bytes();
            }
        });
        assert_eq!(failed_steps(&report), ["a-list"], "{old:?} -> {new:?}");
    }
}

#[test]
fn shmids_owners_and_crlf_line_ends_are_ignored() {
    let report = judge(|step, observed| {
        if step == "b-list" {
            let text = String::from_utf8(observed.output.stdout.clone()).unwrap();
            let text = text.replace("d5 0 ", "d5 7 ").replace("root", "0   ");
            observed.output.stdout = text.replace('\n', "\r\n").into_bytes();
        }
    });
    assert!(report.passed(), "{:?}", failed_steps(&report));
}
