//! The matrix: whether each observer sees each mechanism, in each sharing mode, after each event.
//!
//! Cells that differ only in mechanism and observer share one script. It creates the containers,
//! writes with all mechanisms, reads back, causes the event, and reads in all observers. If the
//! event is a limit, all observers try to write instead.

use shm_core::Key;

use super::Action::ExhaustMemory;
use super::{
    Action, Container, Mechanism, Objects, Place, Role, Script, Setting, Sharing, Stage, Step,
};

mod cell;
mod containers;
mod pods;

pub use cell::{Cell, Event, Observer};

/// The writer's container.
const WRITER: Container = Container("writer");
/// Another container in the same mode.
const OTHER: Container = Container("other");
/// A container that joins the writer's, or that is in its pod.
const JOINER: Container = Container("joiner");
/// The container that the writer joins, in the mode `container`.
const DONOR: Container = Container("donor");
/// The sandbox of the writer's pod, in the mode `pod` and on a cluster.
const POD: Container = Container("pod");
/// A container in the writer's pod without the writer's volume.
const APART: Container = Container("apart");

/// The memory limit of the container in which a process allocates [`TOO_MUCH_MEMORY`], in bytes. On
/// a cluster, it is too small for a leaked segment and a copy of its text.
const MEMORY: u64 = 64 << 20;
/// An allocation that exceeds the memory limit of the container, in bytes.
pub const TOO_MUCH_MEMORY: u64 = 96 << 20;

/// The kind of engine that a matrix is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Containers on a host.
    Containers,
    /// Pods on a cluster.
    Pods,
}

/// A script, and the questions that it answers.
#[derive(Clone, Debug)]
pub struct Group {
    /// The script.
    pub script: Script,
    /// The questions.
    pub questions: Vec<Question>,
}

/// A cell, and the steps that answer it. The first step that does not succeed decides the answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// The cell.
    pub cell: Cell,
    /// The ids of the steps, in order.
    pub steps: Vec<String>,
    /// The ids of the controls, which run if the last step finds nothing.
    pub controls: Vec<String>,
}

impl Group {
    /// Iterates over the actions that neither write nor read.
    pub fn others(&self) -> impl Iterator<Item = &Action> {
        let actions = self.script.steps().map(|step| &step.action);
        actions.filter(|action| action.mechanism().is_none())
    }

    /// Returns whether the script writes in the IPC namespace of a cluster's node.
    #[must_use]
    pub fn writes_on_a_node(&self) -> bool {
        self.script.steps().any(|step| match &step.action {
            Action::Deploy(workload) => workload.ipc == Sharing::Host,
            Action::Write(..) | Action::Control(..) => step.place == Place::Host,
            _ => false,
        })
    }

    /// Returns whether the script disturbs other scripts on its node.
    #[must_use]
    pub fn needs_its_node_alone(&self) -> bool {
        self.script.steps().any(|step| step.action == Action::RestartKubelet)
    }

    /// Returns whether the script exceeds a memory limit, which needs a large text on the volume.
    #[must_use]
    pub fn exhausts_memory(&self) -> bool {
        self.script.steps().any(|step| step.action == ExhaustMemory)
    }
}

/// Returns the groups of the whole matrix. All writers write `text`. Each script gets its own key
/// from `keys`.
pub fn groups(world: World, keys: impl FnMut() -> Key, text: &str) -> Vec<Group> {
    match world {
        World::Containers => containers::groups(keys, text),
        World::Pods => pods::groups(keys, text),
    }
}

/// A builder of a group.
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

    /// Adds the steps of the observers, after the actions of `event` or under a limit.
    fn ask(mut self, event: Vec<(Container, Action)>, observers: &[Observer], key: Key) -> Group {
        let is_limit =
            matches!(self.event.setting(), Some(Setting::Sysctl(..) | Setting::ShmSize(_)));
        if is_limit {
            self.try_to_write(observers);
        } else {
            self.write_and_read(event, observers);
        }
        self.controls(observers);
        let size = if is_limit { 64 << 10 } else { Objects::DEFAULT_SIZE };
        let script = Script {
            name: format!("{}/{}", self.mode, self.event),
            objects: Objects { size, ..Objects::from(key) },
            stages: self.stages,
            conclusions: vec![],
        };
        Group { script, questions: self.questions }
    }

    /// Adds steps that write with all mechanisms, cause the event, and read in all observers.
    fn write_and_read(&mut self, event: Vec<(Container, Action)>, observers: &[Observer]) {
        let (all, text) = (self.mechanisms, self.text);
        let write = |mechanism| Action::Write(mechanism, text.to_owned());
        self.each(&Role::Observe, all, "write", Place::In(WRITER), write);
        // Absence after the event proves nothing unless the text was readable before it.
        self.each(&Role::Prepare, all, "control", Place::In(WRITER), Action::Read);
        for (number, (container, action)) in event.into_iter().enumerate() {
            self.one(Role::Prepare, &format!("event-{number}"), Place::In(container), action);
        }
        for observer in observers {
            let (word, place) = (observer.to_string(), observer.place());
            for (mechanism, step) in self.each(&Role::Observe, all, &word, place, Action::Read) {
                self.question(mechanism, *observer, vec![step]);
            }
        }
    }

    /// Adds steps in which each observer tries to write more than the limit allows, and reads back.
    fn try_to_write(&mut self, observers: &[Observer]) {
        let limited = &[Mechanism::Sysv, Mechanism::Posix];
        let text = self.text;
        for observer in observers {
            let (word, place) = (observer.to_string(), observer.place());
            let write = |mechanism| Action::Write(mechanism, text.to_owned());
            let writes = self.each(&Role::Observe, limited, &format!("write-{word}"), place, write);
            let reads = self.each(&Role::Observe, limited, &word, place, Action::Read);
            for ((mechanism, write), (_, read)) in writes.into_iter().zip(reads) {
                self.question(mechanism, *observer, vec![write, read]);
            }
        }
    }

    /// Adds controls that write and read back a text for each cell whose observer found nothing.
    /// They run one observer after another, because observers may share.
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
                    let id = format!("{observer}-{verb}-control-{mechanism}");
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

    /// Adds the build of the image. Its failure shows when containers start, and an engine without
    /// images skips it.
    fn build(&mut self) {
        self.one(Role::Observe, "build", Place::Host, Action::Build);
    }

    /// Adds the creation of a container or a pod.
    fn make(&mut self, container: Container, action: Action) {
        self.one(Role::Prepare, &format!("run-{container}"), Place::In(container), action);
    }

    fn one(&mut self, role: Role, id: &str, place: Place, action: Action) {
        self.stages.push(Stage(vec![Step { role, ..step(id.to_owned(), place, action) }]));
    }

    /// Adds a stage with a step for each mechanism, and returns the ids of the steps.
    fn each(
        &mut self,
        role: &Role,
        mechanisms: &[Mechanism],
        what: &str,
        place: Place,
        action: impl Fn(Mechanism) -> Action,
    ) -> Vec<(Mechanism, String)> {
        let id = |mechanism: Mechanism| format!("{what}-{mechanism}");
        let step = |mechanism: &Mechanism| Step {
            role: role.clone(),
            ..step(id(*mechanism), place, action(*mechanism))
        };
        self.stages.push(Stage(mechanisms.iter().map(step).collect()));
        mechanisms.iter().map(|mechanism| (*mechanism, id(*mechanism))).collect()
    }
}

/// Returns the text that the control of a cell writes. On the host it is `text`, because the ledger
/// records that text.
fn control_text(text: &str, cell: &Cell) -> String {
    match cell.observer {
        Observer::Host => text.to_owned(),
        _ => format!("{text}_{}", cell.to_string().replace('/', "_")),
    }
}

fn step(id: String, place: Place, action: Action) -> Step {
    Step { id, section: "matrix", place, action, role: Role::Observe }
}
