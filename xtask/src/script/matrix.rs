//! The matrix: what each observer sees of each mechanism, in each sharing mode, after each event.
//!
//! Cells that differ only in mechanism and observer share one script: the containers are made
//! once, everything is written and read back, the event happens, and everybody looks. Where the
//! event is a limit, everybody tries to write instead.

use shm_core::Key;

use super::Action::{Build, ExhaustMemory, Run};
use super::{Action, Container, Launch, Mechanism, Objects, Place, Script, Setting, Sharing};
use super::{Stage, Step};

mod cell;

pub use cell::{Cell, Event, Observer};

/// The container that writes.
const WRITER: Container = Container("writer");
/// Another one in the same mode.
const OTHER: Container = Container("other");
/// One that joins the writer.
const JOINER: Container = Container("joiner");
/// The one that the writer joins, in the mode `container`.
const DONOR: Container = Container("donor");
/// The sandbox of the pod that the writer is in, in the mode `pod`.
const POD: Container = Container("pod");

/// The most memory of the container in which a process takes [`TOO_MUCH_MEMORY`].
pub(super) const MEMORY: u64 = 64 << 20;
/// What a process takes that is to be killed for it, in bytes.
pub const TOO_MUCH_MEMORY: u64 = 96 << 20;

/// Every mode, by its name in `--ipc`; `hostshm` is `private` with the host's `/dev/shm` bound in,
/// `pod` a container of a pod whose containers share.
pub const MODES: [(&str, Sharing); 7] = [
    ("private", Sharing::Private),
    ("shareable", Sharing::Shareable),
    ("container", Sharing::Container(DONOR)),
    ("pod", Sharing::Pod(POD)),
    ("host", Sharing::Host),
    ("none", Sharing::None),
    ("hostshm", Sharing::HostShm),
];

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
}

impl Group {
    /// What is done besides writing and reading.
    pub fn others(&self) -> impl Iterator<Item = &Action> {
        let actions = self.script.steps().map(|step| &step.action);
        actions.filter(|action| action.mechanism().is_none())
    }

    /// Whether a process takes too much memory, for which it needs a large text on the volume.
    #[must_use]
    pub fn exhausts_memory(&self) -> bool {
        self.script.steps().any(|step| step.action == ExhaustMemory)
    }
}

/// The whole matrix, where everything is written as `text`; each script has a key of its own from
/// `keys`.
pub fn groups(mut keys: impl FnMut() -> Key, text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, sharing) in MODES {
        for event in Event::of(sharing) {
            groups.push(Draft::new(name, sharing, event, text).finish(keys()));
        }
    }
    groups
}

/// A group as it is put together.
struct Draft<'a> {
    mode: &'static str,
    launch: Launch,
    event: Event,
    text: &'a str,
    stages: Vec<Stage>,
    questions: Vec<Question>,
}

impl<'a> Draft<'a> {
    fn new(mode: &'static str, sharing: Sharing, event: Event, text: &'a str) -> Self {
        let launch = Launch { sharing, setting: event.setting() };
        Self { mode, launch, event, text, stages: vec![], questions: vec![] }
    }

    fn finish(mut self, key: Key) -> Group {
        self.containers();
        if event_is_limit(self.event) {
            self.try_to_write();
        } else {
            self.write_and_look();
        }
        let size = if event_is_limit(self.event) { 64 << 10 } else { Objects::DEFAULT_SIZE };
        let script = Script {
            name: format!("{}/{}", self.mode, self.event.word()),
            objects: Objects { key, size },
            stages: self.stages,
            conclusions: vec![],
        };
        Group { script, questions: self.questions }
    }

    fn containers(&mut self) {
        let sharing = self.launch.sharing;
        self.one("build", Place::Host, Build);
        match sharing {
            Sharing::Container(donor) => self.run(donor, Sharing::Shareable.into()),
            Sharing::Pod(pod) => self.run(pod, Sharing::Sandbox.into()),
            _ => {}
        }
        self.run(WRITER, self.launch);
        self.run(OTHER, sharing.into());
        if self.fourth() == Observer::Joiner {
            self.run(JOINER, Sharing::Container(WRITER).into());
        }
    }

    fn run(&mut self, container: Container, launch: Launch) {
        self.one(&format!("run-{container}"), Place::In(container), Run(launch));
    }

    /// The observer besides the writer, another one and the host.
    fn fourth(&self) -> Observer {
        match self.launch.sharing {
            Sharing::Container(_) => Observer::Donor,
            _ => Observer::Joiner,
        }
    }

    fn observers(&self) -> Vec<Observer> {
        let mut observers = vec![Observer::Own, Observer::Other, self.fourth(), Observer::Host];
        if self.event == Event::DonorStopped {
            // It does not run: there is nobody to look.
            observers.retain(|observer| *observer != Observer::Donor);
        }
        observers
    }

    /// Everything is written, the event happens, everybody looks.
    fn write_and_look(&mut self) {
        let all = &Mechanism::ALL;
        let text = self.text;
        let write = |mechanism| Action::Write(mechanism, text.to_owned());
        self.each(all, "write", Place::In(WRITER), write);
        // The positive control: what is not there now says nothing about the event.
        self.each(all, "control", Place::In(WRITER), Action::Read);
        for (number, (container, action)) in self.event.actions(self.launch).into_iter().enumerate()
        {
            self.one(&format!("event-{number}"), Place::In(container), action);
        }
        for observer in self.observers() {
            for (mechanism, step) in self.each(all, observer.word(), observer.place(), Action::Read)
            {
                self.ask(mechanism, observer, vec![step]);
            }
        }
    }

    /// Everybody tries to write what the limit does not allow, and reads it back.
    fn try_to_write(&mut self) {
        let limited = &[Mechanism::Sysv, Mechanism::Posix];
        let text = self.text;
        for observer in self.observers() {
            let (word, place) = (observer.word(), observer.place());
            let write = |mechanism| Action::Write(mechanism, text.to_owned());
            let writes = self.each(limited, &format!("write-{word}"), place, write);
            let reads = self.each(limited, word, place, Action::Read);
            for ((mechanism, write), (_, read)) in writes.into_iter().zip(reads) {
                self.ask(mechanism, observer, vec![write, read]);
            }
        }
    }

    fn ask(&mut self, mechanism: Mechanism, observer: Observer, steps: Vec<String>) {
        let cell = Cell { mechanism, sharing: self.mode, event: self.event, observer };
        self.questions.push(Question { cell, steps });
    }

    fn one(&mut self, id: &str, place: Place, action: Action) {
        self.stages.push(Stage(vec![step(id.to_owned(), place, action)]));
    }

    /// A step for each mechanism, side by side; returns their ids.
    fn each(
        &mut self,
        mechanisms: &[Mechanism],
        what: &str,
        place: Place,
        action: impl Fn(Mechanism) -> Action,
    ) -> Vec<(Mechanism, String)> {
        let id = |mechanism: Mechanism| format!("{what}-{}", mechanism.word());
        let step = |mechanism: &Mechanism| step(id(*mechanism), place, action(*mechanism));
        self.stages.push(Stage(mechanisms.iter().map(step).collect()));
        mechanisms.iter().map(|mechanism| (*mechanism, id(*mechanism))).collect()
    }
}

fn event_is_limit(event: Event) -> bool {
    matches!(event.setting(), Some(Setting::Sysctl(..) | Setting::ShmSize(_)))
}

fn step(id: String, place: Place, action: Action) -> Step {
    Step { id, section: "matrix", place, action }
}
