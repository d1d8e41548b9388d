//! The article's script, all of it.

use shm_core::Key;

use super::Action::{Build, Crash, List, Processes, Remove, Run, Start, Stop};
use super::{
    Action, Conclusion, Container, Evidence, Mechanism, Objects, Place, Script, Sharing, Shows,
    Stage, Step,
};

/// The article knows one mechanism.
const READ: Action = Action::Read(Mechanism::Sysv);

const A: Container = Container("A");
const B: Container = Container("B");

/// What is written in A.
pub const TEXT_OF_A: &str = "hello_world";
/// What is written in B.
pub const TEXT_OF_B: &str = "nihao";

const PREPARATION: &str = "Preparation";
const USE: &str = "Shared memory in one container";
const CONTAINERS: &str = "(1) Is it isolated between containers?";
const HOST: &str = "(2) Can the host see it?";
const RESTART: &str = "(3) Does it survive a restart?";
const CONTAINER_RESTART: &str = "(3a) Does it survive a restart of the container in its pod?";
const POD_RECREATION: &str = "(3b) Does it survive that the pod is deleted and made again?";

/// The article's steps, with every segment under `key`.
#[must_use]
pub fn script(key: Key) -> Script {
    let stages = [one_container(), two_containers(), vec![on_the_host()], restart()].concat();
    let objects = Objects::from(key);
    let cleared = "shared memory is gone after a container was stopped and started";
    let conclusions = conclusions([cleared_by_restart("cleared_by_restart", cleared)]);
    Script { name: "article".to_owned(), objects, stages, conclusions }
}

/// The article's steps with a pod for each container. Its third part is done twice: a container
/// that restarts in its pod, and a pod that is deleted and made again, are different things.
#[must_use]
pub fn on_a_cluster(key: Key) -> Script {
    let first = [one_container(), two_containers(), vec![on_the_host()]].concat();
    let stages = [first, restarts_on_a_cluster()].concat();
    let nothing = |step| Evidence { step, shows: Shows::Nothing };
    let in_pod =
        ["b-list-after-crash", "b-read-after-crash", "a-list-after-crash", "a-read-after-crash"];
    let in_its_pod = Conclusion {
        id: "cleared_by_container_restart",
        statement: "shared memory is gone after a container was restarted in its pod",
        evidence: in_pod.map(nothing).to_vec(),
        places: vec![Place::In(A), Place::In(B)],
    };
    let statement = "shared memory is gone after a pod was deleted and made again";
    let recreated = cleared_by_restart("cleared_by_pod_recreation", statement);
    let objects = Objects::from(key);
    let conclusions = conclusions([in_its_pod, recreated]);
    Script { name: "article".to_owned(), objects, stages, conclusions }
}

fn one_container() -> Vec<Stage> {
    vec![
        alone("build", PREPARATION, Place::Host, Build),
        alone("start-a", PREPARATION, Place::In(A), Run(Sharing::Default.into())),
        alone("a-write", USE, Place::In(A), write(TEXT_OF_A)),
        alone("a-list", USE, Place::In(A), List),
        alone("a-read", USE, Place::In(A), READ),
    ]
}

fn two_containers() -> Vec<Stage> {
    let step = |(id, container, action)| step(id, CONTAINERS, Place::In(container), action);
    vec![
        alone("start-b", CONTAINERS, Place::In(B), Run(Sharing::Default.into())),
        Stage([("b-list-before", B, List), ("b-read-before", B, READ)].map(step).into()),
        alone("b-write", CONTAINERS, Place::In(B), write(TEXT_OF_B)),
        Stage([("b-read", B, READ), ("a-read-again", A, READ)].map(step).into()),
        // Not beside a read of the same segment: the list would show it as attached.
        alone("b-list", CONTAINERS, Place::In(B), List),
    ]
}

/// A step of the same kind in B and in A, side by side.
fn both(section: &'static str, action: &Action, ids: [&'static str; 2]) -> Stage {
    let both = ids.into_iter().zip([B, A]);
    Stage(both.map(|(id, it)| step(id, section, Place::In(it), action.clone())).collect())
}

/// B and A list and read, side by side.
fn look(section: &'static str, lists: [&'static str; 2], reads: [&'static str; 2]) -> Stage {
    let [mut look, reads] = [both(section, &List, lists), both(section, &READ, reads)];
    look.0.extend(reads.0);
    look
}

fn on_the_host() -> Stage {
    let host = [("host-list", List), ("host-read", READ)];
    Stage(host.map(|(id, action)| step(id, HOST, Place::Host, action)).into())
}

fn restart() -> Vec<Stage> {
    let section = RESTART;
    vec![
        alone("ps-before", section, Place::Host, Processes),
        both(section, &Stop, ["stop-b", "stop-a"]),
        both(section, &Start, ["start-b-again", "start-a-again"]),
        alone("ps-after", section, Place::Host, Processes),
        look(section, ["b-list-after", "a-list-after"], ["b-read-after", "a-read-after"]),
    ]
}

/// What a restart is on a cluster: of the container in its pod, or of the pod.
fn restarts_on_a_cluster() -> Vec<Stage> {
    let (first, then) = (CONTAINER_RESTART, POD_RECREATION);
    let run = Run(Sharing::Default.into());
    vec![
        alone("ps-before", first, Place::Host, Processes),
        both(first, &Crash, ["crash-b", "crash-a"]),
        look(
            first,
            ["b-list-after-crash", "a-list-after-crash"],
            ["b-read-after-crash", "a-read-after-crash"],
        ),
        both(then, &Remove, ["remove-b", "remove-a"]),
        both(then, &run, ["start-b-again", "start-a-again"]),
        alone("ps-after", then, Place::Host, Processes),
        look(then, ["b-list-after", "a-list-after"], ["b-read-after", "a-read-after"]),
    ]
}

fn conclusions(third: impl IntoIterator<Item = Conclusion>) -> Vec<Conclusion> {
    let nothing = |step| Evidence { step, shows: Shows::Nothing };
    let mut conclusions = vec![
        Conclusion {
            id: "containers_isolated",
            statement: "containers do not see each other's shared memory",
            evidence: vec![
                nothing("b-list-before"),
                nothing("b-read-before"),
                Evidence { step: "b-read", shows: Shows::Text(TEXT_OF_B) },
                Evidence { step: "a-read-again", shows: Shows::Text(TEXT_OF_A) },
            ],
            places: vec![Place::In(A), Place::In(B)],
        },
        Conclusion {
            id: "host_isolated",
            statement: "the host does not see a container's shared memory",
            evidence: vec![nothing("host-list"), nothing("host-read")],
            places: vec![Place::Host, Place::In(A), Place::In(B)],
        },
    ];
    conclusions.extend(third);
    conclusions
}

fn cleared_by_restart(id: &'static str, statement: &'static str) -> Conclusion {
    let steps = ["b-list-after", "b-read-after", "a-list-after", "a-read-after"];
    let evidence = steps.map(|step| Evidence { step, shows: Shows::Nothing }).to_vec();
    Conclusion { id, statement, evidence, places: vec![Place::In(A), Place::In(B)] }
}

fn write(text: &str) -> Action {
    Action::Write(Mechanism::Sysv, text.to_owned())
}

fn alone(id: &'static str, section: &'static str, place: Place, action: Action) -> Stage {
    Stage(vec![step(id, section, place, action)])
}

fn step(id: &'static str, section: &'static str, place: Place, action: Action) -> Step {
    Step { id: id.to_owned(), section, place, action }
}
