//! The matrix: what each observer sees of each mechanism, in each sharing mode, after each event.
//!
//! Cells that differ only in mechanism and observer share one script: the containers are made
//! once, everything is written and read back, the event happens, and everybody looks.

use std::fmt;

use serde::Serialize;
use shm_core::Key;

use super::Action::{Build, Kill, Pause, Remove, Restart, Run, Start, Stop, Unpause};
use super::{Action, Container, Mechanism, Objects, Place, Script, Sharing, Stage, Step};

/// The container that writes.
const WRITER: Container = Container("writer");
/// Another one in the same mode.
const OTHER: Container = Container("other");
/// One that joins the writer.
const JOINER: Container = Container("joiner");
/// The one that the writer joins, in the mode `container`.
const DONOR: Container = Container("donor");

const MECHANISMS: [Mechanism; 3] = [Mechanism::Sysv, Mechanism::Posix, Mechanism::File];

/// A question: does this observer still see what was written?
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// What is shared.
    pub mechanism: Mechanism,
    /// The mode of the writer.
    pub sharing: &'static str,
    /// What happens between the writing and the reading.
    pub event: Event,
    /// Who reads.
    pub observer: Observer,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mechanism, sharing, event, observer } = self;
        write!(f, "{}/{sharing}/{}/{}", mechanism.word(), event.word(), observer.word())
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Observer {
    /// The writer's own container.
    Own,
    /// Another container in the same mode.
    Other,
    /// A container that joined the writer's.
    Joiner,
    /// The container that the writer joined.
    Donor,
    /// The host.
    Host,
}

impl Observer {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Other => "other",
            Self::Joiner => "joiner",
            Self::Donor => "donor",
            Self::Host => "host",
        }
    }

    /// Where it reads.
    #[must_use]
    pub fn place(self) -> Place {
        match self {
            Self::Own => Place::In(WRITER),
            Self::Other => Place::In(OTHER),
            Self::Joiner => Place::In(JOINER),
            Self::Donor => Place::In(DONOR),
            Self::Host => Place::Host,
        }
    }
}

/// What happens between the writing and the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Nothing more than that the writing process is gone.
    WriterExits,
    /// The writer's container is paused and unpaused.
    Pause,
    /// It is stopped and started.
    StopStart,
    /// It is killed and started.
    KillStart,
    /// It is restarted.
    Restart,
    /// It is removed and made anew.
    Recreate,
    /// Its donor is restarted while it runs.
    DonorRestarts,
    /// Its donor is stopped, then it is restarted.
    DonorStopped,
}

impl Event {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::WriterExits => "writer-exits",
            Self::Pause => "pause",
            Self::StopStart => "stop-start",
            Self::KillStart => "kill-start",
            Self::Restart => "restart",
            Self::Recreate => "recreate",
            Self::DonorRestarts => "donor-restarts",
            Self::DonorStopped => "donor-stopped",
        }
    }

    /// The events of a mode.
    fn of(sharing: Sharing) -> Vec<Self> {
        let mut events = vec![Self::WriterExits, Self::Pause, Self::StopStart, Self::KillStart];
        events.extend([Self::Restart, Self::Recreate]);
        if matches!(sharing, Sharing::Container(_)) {
            events.extend([Self::DonorRestarts, Self::DonorStopped]);
        }
        events
    }

    fn actions(self, sharing: Sharing) -> Vec<(Container, Action)> {
        let writer = |actions: [Action; 2]| actions.map(|action| (WRITER, action)).to_vec();
        match self {
            Self::WriterExits => vec![],
            Self::Pause => writer([Pause, Unpause]),
            Self::StopStart => writer([Stop, Start]),
            Self::KillStart => writer([Kill, Start]),
            Self::Restart => vec![(WRITER, Restart)],
            Self::Recreate => writer([Remove, Run(sharing)]),
            Self::DonorRestarts => vec![(DONOR, Restart)],
            Self::DonorStopped => vec![(DONOR, Stop), (WRITER, Stop), (WRITER, Start)],
        }
    }
}

/// A script and the cells that it answers, each with the id of the step that does.
#[derive(Clone, Debug)]
pub struct Group {
    /// The script.
    pub script: Script,
    /// Its cells.
    pub cells: Vec<(Cell, String)>,
}

/// Every mode, by its name in `--ipc`; `hostshm` is `private` with the host's `/dev/shm` bound in.
pub const MODES: [(&str, Sharing); 6] = [
    ("private", Sharing::Private),
    ("shareable", Sharing::Shareable),
    ("container", Sharing::Container(DONOR)),
    ("host", Sharing::Host),
    ("none", Sharing::None),
    ("hostshm", Sharing::HostShm),
];

/// The whole matrix; each script has a key of its own from `keys`, and writes `text`.
pub fn groups(mut keys: impl FnMut() -> Key, text: &str) -> Vec<Group> {
    let scripts = MODES.iter().flat_map(|(name, sharing)| {
        Event::of(*sharing).into_iter().map(move |event| (*name, *sharing, event))
    });
    scripts.map(|(name, sharing, event)| group(name, sharing, event, keys(), text)).collect()
}

fn group(name: &'static str, sharing: Sharing, event: Event, key: Key, text: &str) -> Group {
    let joins = matches!(sharing, Sharing::Container(_));
    let fourth = if joins { Observer::Donor } else { Observer::Joiner };
    let mut observers = vec![Observer::Own, Observer::Other, fourth, Observer::Host];
    if event == Event::DonorStopped {
        // It does not run: there is nobody to look.
        observers.retain(|observer| *observer != Observer::Donor);
    }

    let mut steps = Steps::default();
    steps.one("build", Place::Host, Build);
    if joins {
        steps.one("run-donor", Place::In(DONOR), Run(Sharing::Shareable));
    }
    steps.one("run-writer", Place::In(WRITER), Run(sharing));
    steps.one("run-other", Place::In(OTHER), Run(sharing));
    if !joins {
        steps.one("run-joiner", Place::In(JOINER), Run(Sharing::Container(WRITER)));
    }
    let write = |mechanism| Action::Write(mechanism, text.to_owned());
    steps.each("write", Place::In(WRITER), write);
    // The positive control: what is not there now says nothing about the event.
    steps.each("control", Place::In(WRITER), Action::Read);
    for (number, (container, action)) in event.actions(sharing).into_iter().enumerate() {
        steps.one(&format!("event-{number}"), Place::In(container), action);
    }
    let mut cells = Vec::new();
    for observer in observers {
        for (mechanism, step) in steps.each(observer.word(), observer.place(), Action::Read) {
            cells.push((Cell { mechanism, sharing: name, event, observer }, step));
        }
    }
    let script = Script {
        name: format!("{name}/{}", event.word()),
        objects: Objects { key },
        stages: steps.0,
        conclusions: vec![],
    };
    Group { script, cells }
}

/// The stages of a script as they are put together.
#[derive(Default)]
struct Steps(Vec<Stage>);

impl Steps {
    fn one(&mut self, id: &str, place: Place, action: Action) {
        self.0.push(Stage(vec![Step { id: id.to_owned(), section: "matrix", place, action }]));
    }

    /// A step for each mechanism, side by side; returns their ids.
    fn each(
        &mut self,
        what: &str,
        place: Place,
        action: impl Fn(Mechanism) -> Action,
    ) -> Vec<(Mechanism, String)> {
        let ids = MECHANISMS.map(|mechanism| (mechanism, format!("{what}-{}", mechanism.word())));
        let step = |(mechanism, id): &(Mechanism, String)| Step {
            id: id.clone(),
            section: "matrix",
            place,
            action: action(*mechanism),
        };
        self.0.push(Stage(ids.iter().map(step).collect()));
        ids.to_vec()
    }
}
