//! The matrix: what each observer sees of each mechanism, in each sharing mode, after each event.
//!
//! Cells that differ only in mechanism and observer share one script: the containers are made
//! once, everything is written and read back, the event happens, and everybody looks. Where the
//! event is a limit, everybody tries to write instead.

use shm_core::Key;

use super::Action::ExhaustMemory;
use super::{
    Action, Container, Mechanism, Objects, Place, Role, Script, Setting, Sharing, Stage, Step,
};

mod cell;
mod containers;
mod pods;

pub use cell::{Cell, Event, Observer};

/// The container that writes.
const WRITER: Container = Container("writer");
/// Another one in the same mode.
const OTHER: Container = Container("other");
/// One that joins the writer.
const JOINER: Container = Container("joiner");
/// The one that the writer joins, in the mode `container`.
const DONOR: Container = Container("donor");
/// The sandbox of the pod that the writer is in, in the mode `pod` and on a cluster.
const POD: Container = Container("pod");
/// One in the writer's pod that does not mount what the writer does.
const APART: Container = Container("apart");

/// The most memory of the container in which a process takes [`TOO_MUCH_MEMORY`].
pub(super) const MEMORY: u64 = 64 << 20;
/// What a process takes that is to be killed for it, in bytes.
pub const TOO_MUCH_MEMORY: u64 = 96 << 20;

/// Where the matrix is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Of containers on a host.
    Containers,
    /// Of pods on a cluster.
    Pods,
}

/// A script and the cells that it answers.
#[derive(Clone, Debug)]
pub struct Group {
    /// The script.
    pub script: Script,
    /// Its cells.
    pub questions: Vec<Question>,
}

/// A cell, and the steps that answer it: where there are several, each must succeed for the next
/// to say anything.
#[derive(Clone, Debug)]
pub struct Question {
    /// The cell.
    pub cell: Cell,
    /// The ids of the steps.
    pub steps: Vec<String>,
    /// The ids of the controls, where the last of the steps finds nothing.
    pub controls: Vec<String>,
}

impl Group {
    /// What is done besides writing and reading.
    pub fn others(&self) -> impl Iterator<Item = &Action> {
        let actions = self.script.steps().map(|step| &step.action);
        actions.filter(|action| action.mechanism().is_none())
    }

    /// Whether something is written where the node of a cluster sees it.
    #[must_use]
    pub fn writes_on_a_node(&self) -> bool {
        self.script.steps().any(|step| match &step.action {
            Action::Deploy(workload) => workload.ipc == Sharing::Host,
            Action::Write(..) | Action::Control(..) => step.place == Place::Host,
            _ => false,
        })
    }

    /// Whether what else is on its node cannot be used meanwhile.
    #[must_use]
    pub fn needs_its_node_alone(&self) -> bool {
        self.script.steps().any(|step| step.action == Action::RestartKubelet)
    }

    /// Whether a process takes too much memory, for which it needs a large text on the volume.
    #[must_use]
    pub fn exhausts_memory(&self) -> bool {
        self.script.steps().any(|step| step.action == ExhaustMemory)
    }
}

/// The whole matrix of a world, where everything is written as `text`; each script has a key of its
/// own from `keys`.
pub fn groups(world: World, keys: impl FnMut() -> Key, text: &str) -> Vec<Group> {
    match world {
        World::Containers => containers::groups(keys, text),
        World::Pods => pods::groups(keys, text),
    }
}

/// A group as it is put together.
struct Draft<'a> {
    mode: &'static str,
    event: Event,
    mechanisms: &'static [Mechanism],
    text: &'a str,
    stages: Vec<Stage>,
    questions: Vec<Question>,
}

impl<'a> Draft<'a> {
    fn new(
        mode: &'static str,
        event: Event,
        mechanisms: &'static [Mechanism],
        text: &'a str,
    ) -> Self {
        Self { mode, event, mechanisms, text, stages: vec![], questions: vec![] }
    }

    /// What the observers are asked, after what happens in between or under a limit.
    fn ask(mut self, between: Vec<(Container, Action)>, observers: &[Observer], key: Key) -> Group {
        let is_limit =
            matches!(self.event.setting(), Some(Setting::Sysctl(..) | Setting::ShmSize(_)));
        if is_limit {
            self.try_to_write(observers);
        } else {
            self.write_and_look(between, observers);
        }
        self.controls(observers);
        let size = if is_limit { 64 << 10 } else { Objects::DEFAULT_SIZE };
        let script = Script {
            name: format!("{}/{}", self.mode, self.event.word()),
            objects: Objects { size, ..Objects::from(key) },
            stages: self.stages,
            conclusions: vec![],
        };
        Group { script, questions: self.questions }
    }

    /// Everything is written, the event happens, everybody looks.
    fn write_and_look(&mut self, between: Vec<(Container, Action)>, observers: &[Observer]) {
        let (all, text) = (self.mechanisms, self.text);
        let write = |mechanism| Action::Write(mechanism, text.to_owned());
        self.each(&Role::Observe, all, "write", Place::In(WRITER), write);
        // The positive control: what is not there now says nothing about the event.
        self.each(&Role::Prepare, all, "control", Place::In(WRITER), Action::Read);
        for (number, (container, action)) in between.into_iter().enumerate() {
            self.one(Role::Prepare, &format!("event-{number}"), Place::In(container), action);
        }
        for observer in observers {
            let (word, place) = (observer.word(), observer.place());
            for (mechanism, step) in self.each(&Role::Observe, all, word, place, Action::Read) {
                self.question(mechanism, *observer, vec![step]);
            }
        }
    }

    /// Everybody tries to write what the limit does not allow, and reads it back.
    fn try_to_write(&mut self, observers: &[Observer]) {
        let limited = &[Mechanism::Sysv, Mechanism::Posix];
        let text = self.text;
        for observer in observers {
            let (word, place) = (observer.word(), observer.place());
            let write = |mechanism| Action::Write(mechanism, text.to_owned());
            let writes = self.each(&Role::Observe, limited, &format!("write-{word}"), place, write);
            let reads = self.each(&Role::Observe, limited, word, place, Action::Read);
            for ((mechanism, write), (_, read)) in writes.into_iter().zip(reads) {
                self.question(mechanism, *observer, vec![write, read]);
            }
        }
    }

    /// Where an observer found nothing, a text of the cell's own is written and read back: one after
    /// another, for observers may share.
    fn controls(&mut self, observers: &[Observer]) {
        for observer in observers {
            let of_observer = |question: &&mut Question| question.cell.observer == *observer;
            let (mut writes, mut reads) = (vec![], vec![]);
            for question in self.questions.iter_mut().filter(of_observer) {
                let mechanism = question.cell.mechanism;
                let write = Action::Control(mechanism, control_text(self.text, &question.cell));
                for (verb, action, stage) in
                    [("write", write, &mut writes), ("read", Action::Read(mechanism), &mut reads)]
                {
                    let id = format!("{}-{verb}-control-{}", observer.word(), mechanism.word());
                    question.controls.push(id.clone());
                    let step = step(id, observer.place(), action);
                    let of = question.steps.last().cloned();
                    let role = of.map_or(step.role, |of| Role::Control { of });
                    stage.push(Step { role, ..step });
                }
            }
            self.stages.extend([Stage(writes), Stage(reads)]);
        }
    }

    fn question(&mut self, mechanism: Mechanism, observer: Observer, steps: Vec<String>) {
        let cell = Cell { mechanism, sharing: self.mode, event: self.event, observer };
        self.questions.push(Question { cell, steps, controls: vec![] });
    }

    /// Makes the image. Containers that start show whether it was made; an engine without images skips it.
    fn build(&mut self) {
        self.one(Role::Observe, "build", Place::Host, Action::Build);
    }

    /// Makes something: a container, or a pod.
    fn make(&mut self, container: Container, action: Action) {
        self.one(Role::Prepare, &format!("run-{container}"), Place::In(container), action);
    }

    fn one(&mut self, role: Role, id: &str, place: Place, action: Action) {
        self.stages.push(Stage(vec![Step { role, ..step(id.to_owned(), place, action) }]));
    }

    /// A step for each mechanism, side by side; returns their ids.
    fn each(
        &mut self,
        role: &Role,
        mechanisms: &[Mechanism],
        what: &str,
        place: Place,
        action: impl Fn(Mechanism) -> Action,
    ) -> Vec<(Mechanism, String)> {
        let id = |mechanism: Mechanism| format!("{what}-{}", mechanism.word());
        let step = |mechanism: &Mechanism| Step {
            role: role.clone(),
            ..step(id(*mechanism), place, action(*mechanism))
        };
        self.stages.push(Stage(mechanisms.iter().map(step).collect()));
        mechanisms.iter().map(|mechanism| (*mechanism, id(*mechanism))).collect()
    }
}

/// Returns the text that the control of a cell writes. On the host it is the run's text alone, which the
/// ledger names.
fn control_text(text: &str, cell: &Cell) -> String {
    match cell.observer {
        Observer::Host => text.to_owned(),
        _ => format!("{text}_{}", cell.to_string().replace('/', "_")),
    }
}

fn step(id: String, place: Place, action: Action) -> Step {
    Step { id, section: "matrix", place, action, role: Role::Observe }
}
