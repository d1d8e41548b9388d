//! Compares the model with the output of the script on a Docker host, recorded by hand. The
//! expected text is literal: the code under test does not generate it.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use shm_cli::DEFAULT_KEY;
use xtask::engine::Policy;
use xtask::engine::observation::{Identity, ModelNamespace, Observation, State};
use xtask::model::plan::{Plan, PlannedStep};
use xtask::script::{Role, article};

const ONE_SEGMENT: &str = "
------ Shared Memory Segments --------
key        shmid      owner      perms      bytes      nattch     status      
0x0134b3d5 0          root       666        1024       0                       

";
const NO_SEGMENTS: &str = "
------ Shared Memory Segments --------
key        shmid      owner      perms      bytes      nattch     status      

";
const NOT_FOUND: (&str, &str, i32) =
    ("shm read failed\n", "shmget failed, errno: 2 msg: No such file or directory\n", 255);

fn predicted() -> BTreeMap<String, Observation> {
    let plan =
        Plan::new(article::script(DEFAULT_KEY, &[], "fresh"), Policy::Docker.into()).unwrap();
    let steps = plan.stages.into_iter().flatten();
    steps.map(|planned| (planned.step.id, planned.predicted)).collect()
}

#[test]
fn the_model_prints_what_the_article_printed() {
    let printed = [
        ("a-write", ("shm write success\n", "", 0)),
        ("a-list", (ONE_SEGMENT, "", 0)),
        ("a-read", ("h e l l o _ w o r l d \nshm read success\n", "", 0)),
        ("b-list-before", (NO_SEGMENTS, "", 0)),
        ("b-read-before", NOT_FOUND),
        ("a-read-fresh", ("f r e s h _ a \nshm read success\n", "", 0)),
        ("b-read-control-before", ("f r e s h _ b - b e f o r e \nshm read success\n", "", 0)),
        ("b-write", ("shm write success\n", "", 0)),
        ("b-read", ("n i h a o \nshm read success\n", "", 0)),
        ("b-list", (ONE_SEGMENT, "", 0)),
        ("a-read-again", ("h e l l o _ w o r l d \nshm read success\n", "", 0)),
        ("host-list", (NO_SEGMENTS, "", 0)),
        ("host-read", NOT_FOUND),
        ("b-list-after", (NO_SEGMENTS, "", 0)),
        ("b-read-after", NOT_FOUND),
        ("a-list-after", (NO_SEGMENTS, "", 0)),
        ("a-read-after", NOT_FOUND),
        ("a-read-control-after", ("f r e s h _ a - a f t e r \nshm read success\n", "", 0)),
        ("host-read-control", ("f r e s h _ h o s t \nshm read success\n", "", 0)),
    ];
    let predicted = predicted();
    for (step, (stdout, stderr, exit_code)) in printed {
        let observation = &predicted[step];
        assert_eq!(String::from_utf8_lossy(&observation.output.stdout), stdout, "{step}");
        assert_eq!(String::from_utf8_lossy(&observation.output.stderr), stderr, "{step}");
        assert_eq!(observation.output.exit_code, Some(exit_code), "{step}");
    }
}

#[test]
fn the_model_starts_stops_and_lists_containers_as_the_article_did() {
    let predicted = predicted();
    for (step, state) in [
        ("start-a", State::Running),
        ("start-b", State::Running),
        ("stop-b", State::Exited),
        ("stop-a", State::Exited),
        ("start-b-again", State::Running),
        ("start-a-again", State::Running),
    ] {
        assert_eq!(predicted[step].state, Some(state), "{step}");
    }
    for step in ["ps-before", "ps-after"] {
        let running = predicted[step].running.as_ref().unwrap();
        assert!(running.iter().map(|container| container.0).eq(["A", "B"]), "{step}");
    }
}

#[test]
fn each_start_gets_a_new_namespace_and_the_host_keeps_the_first() {
    let predicted = predicted();
    let made = |step: &str| match predicted[step].namespace {
        Some(Identity::Model(made)) => made,
        ref other => panic!("{step}: {other:?}"),
    };
    assert_eq!(made("host-read"), ModelNamespace::HOST);
    let names = ["start-a", "start-b", "start-a-again", "start-b-again"].map(made);
    let names = names.map(|made| made.to_string());
    assert_eq!(names, ["namespace A#1", "namespace B#1", "namespace A#2", "namespace B#2"]);
    assert_eq!(made("a-read-again"), made("start-a"));
    assert_eq!(made("a-read-after"), made("start-a-again"));
}

#[test]
fn the_script_has_every_step_of_the_article_in_order() {
    let script = article::script(DEFAULT_KEY, &[], "fresh");
    let ids: Vec<_> = script.steps().map(|step| step.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "build",
            "start-a",
            "start-b",
            "a-write-fresh",
            "a-read-fresh",
            "a-write",
            "a-list",
            "a-read",
            "b-list-before",
            "b-read-before",
            "b-write-control-before",
            "b-read-control-before",
            "b-write",
            "b-read",
            "a-read-again",
            "b-list",
            "host-list",
            "host-read",
            "ps-before",
            "stop-b",
            "stop-a",
            "start-b-again",
            "start-a-again",
            "ps-after",
            "b-list-after",
            "a-list-after",
            "b-read-after",
            "a-read-after",
            "b-write-control-after",
            "a-write-control-after",
            "b-read-control-after",
            "a-read-control-after",
            "host-write-control",
            "host-read-control",
        ]
    );
}

#[test]
fn each_of_64_containers_reads_its_own_text_and_loses_it_after_the_restart() {
    let script = article::script(DEFAULT_KEY, &article::CONTAINERS[2..64], "fresh");
    let plan = Plan::new(script, Policy::Docker.into()).unwrap();
    let read: BTreeSet<_> =
        steps(&plan, "-read-among-all").map(|it| it.output.stdout.clone()).collect();
    assert_eq!(read.len(), 64);
    assert!(steps(&plan, "-read-after").all(|it| it.output.exit_code == Some(255)));
    assert_eq!(steps(&plan, "-read-after").count(), 64);
    let places = plan.script.conclusions.iter().map(|it| it.places.len());
    assert_eq!(places.collect::<Vec<_>>(), [64, 3, 64]);
}

#[test]
fn every_reader_that_finds_nothing_has_a_control_with_a_unique_text() {
    let articles = [
        article::script(DEFAULT_KEY, &article::CONTAINERS[2..5], "fresh"),
        article::on_a_cluster(DEFAULT_KEY, "fresh"),
    ];
    for (script, policy) in articles.into_iter().zip([Policy::Docker, Policy::Kubernetes]) {
        let plan = Plan::new(script, policy.into()).unwrap();
        let steps: Vec<_> = plan.stages.iter().flatten().collect();
        let mut texts = BTreeSet::new();
        for (position, reader) in steps.iter().enumerate().filter(|(_, it)| it.finds_nothing()) {
            let of = |it: &&&PlannedStep| it.step.control_of() == Some(&*reader.step.id);
            let controls: Vec<_> = steps[position..].iter().filter(of).collect();
            let [write, read] = controls[..] else { panic!("{}: {controls:?}", reader.step.id) };
            assert!(write.step.place == reader.step.place && read.step.place == reader.step.place);
            // The control runs the same command that found nothing.
            assert_eq!(read.step.action, reader.step.action);
            let text = write.step.action.text().unwrap();
            let printed = String::from_utf8_lossy(&read.predicted.output.stdout);
            assert_eq!(printed.lines().next().unwrap().replace(' ', ""), text);
            assert!(text.starts_with("fresh") && texts.insert(text), "{text}");
        }
        assert!(texts.len() >= 4, "{texts:?}");
    }
}

#[test]
fn a_control_of_a_reader_that_finds_something_is_left_out() {
    let mut script = article::script(DEFAULT_KEY, &[], "fresh");
    let control = script.stages.iter_mut().flat_map(|stage| &mut stage.0);
    for step in control.filter(|step| step.control_of() == Some("a-read-after")) {
        step.role = Role::Control { of: "a-read".to_owned() };
    }
    let plan = Plan::new(script, Policy::Docker.into()).unwrap();
    assert!(!plan.stages.iter().flatten().any(|it| it.step.id == "a-read-control-after"));
}

/// Returns the predicted observations of the steps whose ids end with `end`.
fn steps<'a>(plan: &'a Plan, end: &'a str) -> impl Iterator<Item = &'a Observation> {
    let steps = plan.stages.iter().flatten().filter(move |it| it.step.id.ends_with(end));
    steps.map(|it| &it.predicted)
}
