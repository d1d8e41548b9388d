//! The script of the article.

use shm_core::Key;

use super::Action::{Build, Crash, Deploy, List, Processes, Remove, Run, Start, Stop};
use super::{
    Action, Conclusion, Container, Evidence, Expectation, Mechanism, Member, Objects, Place, Pod,
    Role, Script, Sharing, Stage, Step, Workload,
};

/// The article uses System V segments only.
const READ: Action = Action::Read(Mechanism::Sysv);

const A: Container = CONTAINERS[0];
const B: Container = CONTAINERS[1];

/// On a cluster, each container has its own pod.
const POD_OF_A: &[Pod] = &[Pod { name: Container("pod-A"), containers: &[Member::main(A)] }];
const POD_OF_B: &[Pod] = &[Pod { name: Container("pod-B"), containers: &[Member::main(B)] }];

/// The id of the conclusion about the host.
pub const HOST_ISOLATED: &str = "host_isolated";

/// The text that A writes.
pub const TEXT_OF_A: &str = "hello_world";
/// The text that B writes.
pub const TEXT_OF_B: &str = "nihao";

const PREPARATION: &str = "Preparation";
const USE: &str = "Shared memory in one container";
const ISOLATION: &str = "(1) Is it isolated between containers?";
const HOST: &str = "(2) Can the host see it?";
const CONTROLS: &str = "Controls: every reader that found nothing can find a segment";
const RESTART: &str = "(3) Does it survive a restart?";
const CONTAINER_RESTART: &str = "(3a) Does it survive a restart of the container in its pod?";
const POD_RECREATION: &str = "(3b) Does it survive when the pod is deleted and created again?";

/// The possible containers.
pub const CONTAINERS: [Container; NAMES.len()] = {
    let mut all = [Container(""); NAMES.len()];
    let mut index = 0;
    while index < NAMES.len() {
        all[index] = Container(NAMES[index]);
        index += 1;
    }
    all
};

const NAMES: [&str; 64] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
    "T", "U", "V", "W", "X", "Y", "Z", "AA", "AB", "AC", "AD", "AE", "AF", "AG", "AH", "AI", "AJ",
    "AK", "AL", "AM", "AN", "AO", "AP", "AQ", "AR", "AS", "AT", "AU", "AV", "AW", "AX", "AY", "AZ",
    "BA", "BB", "BC", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BK", "BL",
];

/// Returns the steps of the article, with `key` for every segment. It has the containers A and B.
/// Each container in `more` goes through the same steps and also gets its own text.
///
/// Each control writes a text that starts with `fresh` and reads it back. `fresh` is a new random
/// word, so that the output of an earlier run does not match.
#[must_use]
pub fn script(key: Key, more: &[Container], fresh: &str) -> Script {
    let start = |it: Container| (it, Place::In(it), Run(Sharing::Default.into()));
    let started = [A, B].iter().chain(more).copied().map(start);
    let all = [&[B, A], more].concat();
    let stages =
        [preparation(started), two_containers(fresh), more_containers(more, fresh)].concat();
    let stages = [stages, vec![on_the_host()], restart(&all), last_controls(&all, fresh)].concat();
    let statement = "shared memory is gone after a container was stopped and started";
    let third = [cleared("cleared_by_restart", statement, more, "after")];
    let conclusions = conclusions(more, fresh, third);
    Script { name: "article".to_owned(), objects: Objects::from(key), stages, conclusions }
}

/// Returns the steps of the article with a pod for each container. Part 3 runs twice, because the
/// restart of a container in its pod differs from the re-creation of the pod. `fresh` is as for
/// [`script`].
#[must_use]
pub fn on_a_cluster(key: Key, fresh: &str) -> Script {
    let started = [(A, POD_OF_A), (B, POD_OF_B)].map(|(it, pod)| {
        let (place, action) = deploy(pod);
        (it, place, action)
    });
    let stages = [preparation(started), two_containers(fresh), vec![on_the_host()]].concat();
    let stages = [stages, restarts_on_a_cluster(), last_controls(&[B, A], fresh)].concat();
    let statement = "shared memory is gone after a container was restarted in its pod";
    let in_its_pod = cleared("cleared_by_container_restart", statement, &[], "after-crash");
    let statement = "shared memory is gone after a pod was deleted and created again";
    let recreated = cleared("cleared_by_pod_recreation", statement, &[], "after");
    let objects = Objects::from(key);
    let conclusions = conclusions(&[], fresh, [in_its_pod, recreated]);
    Script { name: "article".to_owned(), objects, stages, conclusions }
}

/// Returns the place and the action that create a pod.
fn deploy(pod: &'static [Pod]) -> (Place, Action) {
    (Place::In(pod[0].name), Deploy(Workload::pod(pod)))
}

/// Starts the containers in parallel. B is started before A writes, which is as good a proof as a
/// later start.
fn preparation(started: impl IntoIterator<Item = (Container, Place, Action)>) -> Vec<Stage> {
    let start = |(it, place, action): (Container, _, _)| {
        step(&format!("start-{}", it.id()), PREPARATION, place, action)
    };
    let started = Stage(started.into_iter().map(start).collect());
    vec![alone("build", PREPARATION, Place::Host, Build), started]
}

fn two_containers(fresh: &str) -> Vec<Stage> {
    let step_b = |(id, container, action)| step(id, ISOLATION, Place::In(container), action);
    // A listing in the same stage as this read could show the reader's attachment.
    let a_read = step("a-read", USE, Place::In(A), READ);
    let before = [("b-list-before", B, List), ("b-read-before", B, READ)].map(step_b);
    // A fake engine can guess the article's texts, but not this one.
    let fresh_in_a = Action::Control(Mechanism::Sysv, format!("{fresh}_a"));
    let [control, read_back] = controls(ISOLATION, &[Place::In(B)], "before", fresh);
    vec![
        alone("a-write-fresh", USE, Place::In(A), fresh_in_a),
        alone("a-read-fresh", USE, Place::In(A), READ),
        alone("a-write", USE, Place::In(A), write(TEXT_OF_A)),
        alone("a-list", USE, Place::In(A), List),
        Stage([a_read].into_iter().chain(before).collect()),
        control,
        read_back,
        alone("b-write", ISOLATION, Place::In(B), write(TEXT_OF_B)),
        Stage([("b-read", B, READ), ("a-read-again", A, READ)].map(step_b).into()),
        alone("b-list", ISOLATION, Place::In(B), List),
    ]
}

/// Each container writes a different text. After all have written, each reads its own text.
fn more_containers(more: &[Container], fresh: &str) -> Vec<Stage> {
    if more.is_empty() {
        return vec![];
    }
    let stage = |verb: &str, all: &[Container], action: &dyn Fn(Container) -> Action| {
        let step = |it: &Container| {
            let before = format!("{}-read-before", it.id());
            let control = more.contains(it) && verb != "read-before";
            let step = step(&format!("{}-{verb}", it.id()), ISOLATION, Place::In(*it), action(*it));
            Step { role: if control { Role::Control { of: before } } else { step.role }, ..step }
        };
        Stage(all.iter().map(step).collect())
    };
    vec![
        stage("read-before", more, &|_| READ),
        stage("write", more, &|it| write(&text_of(it, fresh))),
        stage("read-among-all", &[&[A, B], more].concat(), &|_| READ),
    ]
}

/// Returns the text that a container writes.
fn text_of(container: Container, fresh: &str) -> String {
    match container {
        A => TEXT_OF_A.to_owned(),
        B => TEXT_OF_B.to_owned(),
        Container(name) => format!("{fresh}_text_of_{name}"),
    }
}

/// Returns a stage with one step for each container; its id is `VERB-CONTAINER` and a suffix.
fn each(
    section: &'static str,
    all: &[Container],
    action: &Action,
    (verb, suffix): (&str, &str),
) -> Stage {
    let id = |it: &Container| format!("{verb}-{}{suffix}", it.id());
    let step = |it: &Container| step(&id(it), section, Place::In(*it), action.clone());
    Stage(all.iter().map(step).collect())
}

/// Returns a stage in which each container lists and reads, with the ids `CONTAINER-list-WHEN` and
/// `CONTAINER-read-WHEN`.
fn list_and_read(section: &'static str, all: &[Container], when: &str) -> Stage {
    let steps = [("list", List), ("read", READ)].into_iter().flat_map(|(verb, action)| {
        let id = move |it: &Container| format!("{}-{verb}-{when}", it.id());
        all.iter().map(move |it| step(&id(it), section, Place::In(*it), action.clone()))
    });
    Stage(steps.collect())
}

fn on_the_host() -> Stage {
    let host = [("host-list", List), ("host-read", READ)];
    Stage(host.map(|(id, action)| step(id, HOST, Place::Host, action)).into())
}

/// Returns the controls of the last readers. The host's control is last, because its segment stays
/// on the host until the run ends.
fn last_controls(all: &[Container], fresh: &str) -> Vec<Stage> {
    let [containers, read_back] = controls(CONTROLS, &places(all), "after", fresh);
    let [host, read_on_host] = controls(CONTROLS, &[Place::Host], "", fresh);
    vec![containers, read_back, host, read_on_host]
}

/// Returns stages in which each place writes its own text and reads it back with the command that
/// found nothing before.
fn controls(section: &'static str, all: &[Place], when: &str, fresh: &str) -> [Stage; 2] {
    let stage = |verb: &str, action: &dyn Fn(String) -> Action| {
        let step = |place: &Place| {
            let (name, when) = match place {
                Place::Host => ("host".to_owned(), String::new()),
                Place::In(container) => (container.id(), format!("-{when}")),
            };
            let text = format!("{fresh}_{name}{when}");
            let id = format!("{name}-{verb}-control{when}");
            let reader = format!("{name}-read{when}");
            Step { role: Role::Control { of: reader }, ..step(&id, section, *place, action(text)) }
        };
        Stage(all.iter().map(step).collect())
    };
    [stage("write", &|text| Action::Control(Mechanism::Sysv, text)), stage("read", &|_| READ)]
}

fn restart(all: &[Container]) -> Vec<Stage> {
    let section = RESTART;
    vec![
        alone("ps-before", section, Place::Host, Processes),
        each(section, all, &Stop, ("stop", "")),
        each(section, all, &Start, ("start", "-again")),
        alone("ps-after", section, Place::Host, Processes),
        list_and_read(section, all, "after"),
    ]
}

/// Returns both kinds of restart on a cluster: of the container in its pod, and of the pod.
fn restarts_on_a_cluster() -> Vec<Stage> {
    let (first, second) = (CONTAINER_RESTART, POD_RECREATION);
    let create = [POD_OF_B, POD_OF_A].map(deploy);
    let remove = create.clone().map(|(place, _)| (place, Remove));
    let pods = |ids: [&str; 2], pods: [(Place, Action); 2]| {
        let pods = ids.into_iter().zip(pods);
        Stage(pods.map(|(id, (place, action))| step(id, second, place, action)).collect())
    };
    vec![
        alone("ps-before", first, Place::Host, Processes),
        each(first, &[B, A], &Crash, ("crash", "")),
        list_and_read(first, &[B, A], "after-crash"),
        pods(["remove-b", "remove-a"], remove),
        pods(["start-b-again", "start-a-again"], create),
        alone("ps-after", second, Place::Host, Processes),
        list_and_read(second, &[B, A], "after"),
    ]
}

fn conclusions(
    more: &[Container],
    fresh: &str,
    third: impl IntoIterator<Item = Conclusion>,
) -> Vec<Conclusion> {
    let mut isolated = vec![nothing("b-list-before"), nothing("b-read-before")];
    isolated.extend([text("b-read", TEXT_OF_B), text("a-read-again", TEXT_OF_A)]);
    isolated.extend(FRESH_TEXTS.map(something));
    isolated.extend(more.iter().map(|it| nothing(&format!("{}-read-before", it.id()))));
    if !more.is_empty() {
        let all = [A, B].iter().chain(more);
        let own =
            |it: &Container| text(&format!("{}-read-among-all", it.id()), &text_of(*it, fresh));
        isolated.extend(all.map(own));
    }
    let mut conclusions = vec![
        Conclusion {
            id: "containers_isolated",
            statement: "containers do not see each other's shared memory",
            evidence: isolated,
            places: places(&[&[A, B], more].concat()),
        },
        Conclusion {
            id: HOST_ISOLATED,
            statement: "the host does not see a container's shared memory",
            evidence: [vec![nothing("host-list"), nothing("host-read")], written()].concat(),
            places: [vec![Place::Host], places(&[A, B])].concat(),
        },
    ];
    conclusions.extend(third);
    conclusions
}

fn cleared(
    id: &'static str,
    statement: &'static str,
    more: &[Container],
    when: &str,
) -> Conclusion {
    let evidence = gone(&[&[B, A], more].concat(), when);
    Conclusion { id, statement, evidence, places: places(&[&[A, B], more].concat()) }
}

/// The steps that show a fresh text in A and in B. In B, it is the text of a control.
const FRESH_TEXTS: [&str; 3] = ["a-write-fresh", "a-read-fresh", "b-read-control-before"];

/// Returns the evidence that the segments existed. Without it, their absence elsewhere or later
/// proves nothing.
fn written() -> Vec<Evidence> {
    ["b-read", "a-read-again"].into_iter().chain(FRESH_TEXTS).map(something).collect()
}

/// Returns the evidence that the segments existed, and that no container sees one now.
fn gone(all: &[Container], when: &str) -> Vec<Evidence> {
    let steps = |it: &Container| ["list", "read"].map(|verb| format!("{}-{verb}-{when}", it.id()));
    let gone = all.iter().flat_map(steps).map(|step| nothing(&step));
    gone.chain(written()).collect()
}

fn nothing(step: &str) -> Evidence {
    Evidence { step: step.to_owned(), shows: Expectation::Nothing }
}

fn something(step: &str) -> Evidence {
    Evidence { step: step.to_owned(), shows: Expectation::Something }
}

fn text(step: &str, text: &str) -> Evidence {
    Evidence { step: step.to_owned(), shows: Expectation::Text(text.to_owned()) }
}

fn places(containers: &[Container]) -> Vec<Place> {
    containers.iter().copied().map(Place::In).collect()
}

fn write(text: &str) -> Action {
    Action::Write(Mechanism::Sysv, text.to_owned())
}

fn alone(id: &'static str, section: &'static str, place: Place, action: Action) -> Stage {
    Stage(vec![step(id, section, place, action)])
}

fn step(id: &str, section: &'static str, place: Place, action: Action) -> Step {
    Step { id: id.to_owned(), section, place, action, role: Role::Observe }
}
