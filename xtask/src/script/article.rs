//! The article's script, all of it.

use shm_core::Key;

use super::Action::{Build, Crash, Deploy, List, Processes, Remove, Run, Start, Stop};
use super::{
    Action, Conclusion, Container, Evidence, Expectation, Mechanism, Member, Objects, Place, Pod,
    Role, Script, Sharing, Stage, Step, Workload,
};

/// The article knows one mechanism.
const READ: Action = Action::Read(Mechanism::Sysv);

const A: Container = CONTAINERS[0];
const B: Container = CONTAINERS[1];

/// Their pods, on a cluster.
const POD_OF_A: &[Pod] = &[Pod { name: Container("pod-A"), containers: &[Member::main(A)] }];
const POD_OF_B: &[Pod] = &[Pod { name: Container("pod-B"), containers: &[Member::main(B)] }];

/// The id of the conclusion about the host.
pub const HOST_ISOLATED: &str = "host_isolated";

/// What is written in A.
pub const TEXT_OF_A: &str = "hello_world";
/// What is written in B.
pub const TEXT_OF_B: &str = "nihao";

const PREPARATION: &str = "Preparation";
const USE: &str = "Shared memory in one container";
const ISOLATION: &str = "(1) Is it isolated between containers?";
const HOST: &str = "(2) Can the host see it?";
const CONTROLS: &str = "Controls: every reader that found nothing can find a segment";
const RESTART: &str = "(3) Does it survive a restart?";
const CONTAINER_RESTART: &str = "(3a) Does it survive a restart of the container in its pod?";
const POD_RECREATION: &str = "(3b) Does it survive that the pod is deleted and made again?";

/// The most containers.
const COUNT: usize = 64;

/// The containers that there may be: A to Z, then AA to BL.
pub const CONTAINERS: [Container; COUNT] = {
    let mut all = [Container(""); COUNT];
    let mut index = 0;
    while index < COUNT {
        let (name, _) = NAMES[index].split_at(if index < 26 { 1 } else { 2 });
        let Ok(name) = str::from_utf8(name) else { panic!("a name is of letters") };
        all[index] = Container(name);
        index += 1;
    }
    all
};

/// Their names by index. Only the first byte of the first 26 counts.
static NAMES: [[u8; 2]; COUNT] = {
    let mut names = [[0; 2]; COUNT];
    let mut index = 0;
    while index < COUNT {
        let (first, second) = (index / 26, index % 26);
        names[index] =
            if first == 0 { [letter(second), 0] } else { [letter(first - 1), letter(second)] };
        index += 1;
    }
    names
};

const fn letter(index: usize) -> u8 {
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]
}

/// The article's steps, with every segment under `key`. It has two containers; those of `more` each
/// get a text of their own besides, and go through the same.
///
/// Each control writes a text that starts with `fresh` and reads it back. `fresh` is a new random word, so
/// that a replayed answer differs.
#[must_use]
pub fn script(key: Key, more: &[Container], fresh: &str) -> Script {
    let start = |it: Container| (it, Place::In(it), Run(Sharing::Default.into()));
    let started = [A, B].iter().chain(more).copied().map(start);
    let all = [&[B, A], more].concat();
    let stages =
        [preparation(started), two_containers(fresh), more_containers(more, fresh)].concat();
    let stages = [stages, vec![on_the_host()], restart(&all), last_controls(&all, fresh)].concat();
    let cleared = "shared memory is gone after a container was stopped and started";
    let third = [cleared_by_restart("cleared_by_restart", cleared, more)];
    let conclusions = conclusions(more, fresh, third);
    Script { name: "article".to_owned(), objects: Objects::from(key), stages, conclusions }
}

/// The article's steps with a pod for each container. Its third part is done twice: a container
/// that restarts in its pod, and a pod that is deleted and made again, are different things. `fresh` is
/// as for [`script`].
#[must_use]
pub fn on_a_cluster(key: Key, fresh: &str) -> Script {
    let started = [(A, POD_OF_A), (B, POD_OF_B)].map(|(it, pod)| {
        let (place, action) = deploy(pod);
        (it, place, action)
    });
    let stages = [preparation(started), two_containers(fresh), vec![on_the_host()]].concat();
    let stages = [stages, restarts_on_a_cluster(), last_controls(&[B, A], fresh)].concat();
    let statement = "shared memory is gone after a container was restarted in its pod";
    let in_its_pod = Conclusion {
        id: "cleared_by_container_restart",
        statement,
        evidence: gone(&[B, A], "after-crash"),
        places: places(&[A, B]),
    };
    let statement = "shared memory is gone after a pod was deleted and made again";
    let recreated = cleared_by_restart("cleared_by_pod_recreation", statement, &[]);
    let objects = Objects::from(key);
    let conclusions = conclusions(&[], fresh, [in_its_pod, recreated]);
    Script { name: "article".to_owned(), objects, stages, conclusions }
}

/// A pod, where it is made and how.
fn deploy(pod: &'static [Pod]) -> (Place, Action) {
    (Place::In(pod[0].name), Deploy(Workload::pod(pod)))
}

/// The containers are started side by side: B is there, and empty, when A is used, which shows no less
/// than one that is started afterwards.
fn preparation(started: impl IntoIterator<Item = (Container, Place, Action)>) -> Vec<Stage> {
    let start = |(it, place, action): (Container, _, _)| {
        step(&format!("start-{}", it.id()), PREPARATION, place, action)
    };
    let started = Stage(started.into_iter().map(start).collect());
    vec![alone("build", PREPARATION, Place::Host, Build), started]
}

fn two_containers(fresh: &str) -> Vec<Stage> {
    let step_b = |(id, container, action)| step(id, ISOLATION, Place::In(container), action);
    // Not beside a read of the same segment: a list would show it as attached.
    let a_read = step("a-read", USE, Place::In(A), READ);
    let before = [("b-list-before", B, List), ("b-read-before", B, READ)].map(step_b);
    // An engine can guess the answers to the article's texts, but not to this one.
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

/// After all have written, each reads once. Its text is in no other container.
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

/// What is written in a container.
fn text_of(container: Container, fresh: &str) -> String {
    match container {
        A => TEXT_OF_A.to_owned(),
        B => TEXT_OF_B.to_owned(),
        Container(name) => format!("{fresh}_text_of_{name}"),
    }
}

/// A step of the same kind in each, side by side; its id is `VERB-CONTAINER` and what follows.
fn each(
    section: &'static str,
    all: &[Container],
    action: &Action,
    (verb, then): (&str, &str),
) -> Stage {
    let id = |it: &Container| format!("{verb}-{}{then}", it.id());
    let step = |it: &Container| step(&id(it), section, Place::In(*it), action.clone());
    Stage(all.iter().map(step).collect())
}

/// Each lists and reads, side by side; the ids are `CONTAINER-list-WHEN` and `CONTAINER-read-WHEN`.
fn look(section: &'static str, all: &[Container], when: &str) -> Stage {
    let looks = [("list", List), ("read", READ)].into_iter().flat_map(|(verb, action)| {
        let id = move |it: &Container| format!("{}-{verb}-{when}", it.id());
        all.iter().map(move |it| step(&id(it), section, Place::In(*it), action.clone()))
    });
    Stage(looks.collect())
}

fn on_the_host() -> Stage {
    let host = [("host-list", List), ("host-read", READ)];
    Stage(host.map(|(id, action)| step(id, HOST, Place::Host, action)).into())
}

/// The controls of what is found at the end. That on the host is the last one, for its segment lies
/// there until the run is over.
fn last_controls(all: &[Container], fresh: &str) -> Vec<Stage> {
    let [containers, read_back] = controls(CONTROLS, &places(all), "after", fresh);
    let [host, read_on_host] = controls(CONTROLS, &[Place::Host], "", fresh);
    vec![containers, read_back, host, read_on_host]
}

/// Each writes a text of its own where it has found nothing, and reads it back with the command that
/// found nothing.
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
        look(section, all, "after"),
    ]
}

/// What a restart is on a cluster: of the container in its pod, or of the pod.
fn restarts_on_a_cluster() -> Vec<Stage> {
    let (first, then) = (CONTAINER_RESTART, POD_RECREATION);
    let made = [POD_OF_B, POD_OF_A].map(deploy);
    let remove = made.clone().map(|(place, _)| (place, Remove));
    let pods = |ids: [&str; 2], pods: [(Place, Action); 2]| {
        let pods = ids.into_iter().zip(pods);
        Stage(pods.map(|(id, (place, action))| step(id, then, place, action)).collect())
    };
    vec![
        alone("ps-before", first, Place::Host, Processes),
        each(first, &[B, A], &Crash, ("crash", "")),
        look(first, &[B, A], "after-crash"),
        pods(["remove-b", "remove-a"], remove),
        pods(["start-b-again", "start-a-again"], made),
        alone("ps-after", then, Place::Host, Processes),
        look(then, &[B, A], "after"),
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
            evidence: [vec![nothing("host-list"), nothing("host-read")], was_there()].concat(),
            places: [vec![Place::Host], places(&[A, B])].concat(),
        },
    ];
    conclusions.extend(third);
    conclusions
}

fn cleared_by_restart(id: &'static str, statement: &'static str, more: &[Container]) -> Conclusion {
    let evidence = gone(&[&[B, A], more].concat(), "after");
    Conclusion { id, statement, evidence, places: places(&[&[A, B], more].concat()) }
}

/// The steps that show a fresh text in A and in B. The writer in B is a control besides.
const FRESH_TEXTS: [&str; 3] = ["a-write-fresh", "a-read-fresh", "b-read-control-before"];

/// That there was something, which only then can be missing elsewhere or later.
fn was_there() -> Vec<Evidence> {
    ["b-read", "a-read-again"].into_iter().chain(FRESH_TEXTS).map(something).collect()
}

/// That there is nothing in any of them, where there was something.
fn gone(all: &[Container], when: &str) -> Vec<Evidence> {
    let looks = |it: &Container| ["list", "read"].map(|verb| format!("{}-{verb}-{when}", it.id()));
    let gone = all.iter().flat_map(looks).map(|step| nothing(&step));
    gone.chain(was_there()).collect()
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
