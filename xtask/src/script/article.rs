//! The article's script, all of it.

use shm_core::Key;

use super::Action::{Build, List, Processes, Run, Start, Stop};
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

/// The article's steps, with every segment under `key`.
#[must_use]
pub fn script(key: Key) -> Script {
    let stages = [one_container(), two_containers(), host_and_restart()].concat();
    let objects = Objects::from(key);
    Script { name: "article".to_owned(), objects, stages, conclusions: conclusions() }
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

fn host_and_restart() -> Vec<Stage> {
    let both = |action: &Action, ids: [&'static str; 2]| {
        let both = ids.into_iter().zip([B, A]);
        Stage(both.map(|(id, c)| step(id, RESTART, Place::In(c), action.clone())).collect())
    };
    let [mut lists, reads] = [
        both(&List, ["b-list-after", "a-list-after"]),
        both(&READ, ["b-read-after", "a-read-after"]),
    ];
    lists.0.extend(reads.0);
    let host = [("host-list", List), ("host-read", READ)];
    vec![
        Stage(host.map(|(id, action)| step(id, HOST, Place::Host, action)).into()),
        alone("ps-before", RESTART, Place::Host, Processes),
        both(&Stop, ["stop-b", "stop-a"]),
        both(&Start, ["start-b-again", "start-a-again"]),
        alone("ps-after", RESTART, Place::Host, Processes),
        lists,
    ]
}

fn conclusions() -> Vec<Conclusion> {
    let nothing = |step| Evidence { step, shows: Shows::Nothing };
    vec![
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
        Conclusion {
            id: "cleared_by_restart",
            statement: "shared memory is gone after a container was stopped and started",
            evidence: vec![
                nothing("b-list-after"),
                nothing("b-read-after"),
                nothing("a-list-after"),
                nothing("a-read-after"),
            ],
            places: vec![Place::In(A), Place::In(B)],
        },
    ]
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
