//! The article's script, all of it.

use shm_core::Key;

use super::Action::{Build, List, Processes, Read, Start, Stop, Write};
use super::{Action, Conclusion, Container, Evidence, Place, Script, Shows, Stage, Step};

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
    Script { name: "article", key, stages, conclusions: conclusions() }
}

fn one_container() -> Vec<Stage> {
    vec![
        alone("build", PREPARATION, Place::Host, Build),
        alone("start-a", PREPARATION, Place::In(A), Start),
        alone("a-write", USE, Place::In(A), Write(TEXT_OF_A)),
        alone("a-list", USE, Place::In(A), List),
        alone("a-read", USE, Place::In(A), Read),
    ]
}

fn two_containers() -> Vec<Stage> {
    vec![
        alone("start-b", CONTAINERS, Place::In(B), Start),
        alone("b-list-before", CONTAINERS, Place::In(B), List),
        alone("b-read-before", CONTAINERS, Place::In(B), Read),
        alone("b-write", CONTAINERS, Place::In(B), Write(TEXT_OF_B)),
        alone("b-read", CONTAINERS, Place::In(B), Read),
        alone("b-list", CONTAINERS, Place::In(B), List),
        alone("a-read-again", CONTAINERS, Place::In(A), Read),
    ]
}

fn host_and_restart() -> Vec<Stage> {
    let both = |steps: [(&'static str, Container, Action); 2]| {
        let step = |(id, container, action)| step(id, RESTART, Place::In(container), action);
        Stage(steps.map(step).into())
    };
    vec![
        alone("host-list", HOST, Place::Host, List),
        alone("host-read", HOST, Place::Host, Read),
        alone("ps-before", RESTART, Place::Host, Processes),
        both([("stop-b", B, Stop), ("stop-a", A, Stop)]),
        both([("start-b-again", B, Start), ("start-a-again", A, Start)]),
        alone("ps-after", RESTART, Place::Host, Processes),
        both([("b-list-after", B, List), ("a-list-after", A, List)]),
        both([("b-read-after", B, Read), ("a-read-after", A, Read)]),
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

fn alone(id: &'static str, section: &'static str, place: Place, action: Action) -> Stage {
    Stage(vec![step(id, section, place, action)])
}

fn step(id: &'static str, section: &'static str, place: Place, action: Action) -> Step {
    Step { id, section, place, action }
}
