//! The matrix of containers, in each mode of `--ipc`.

use shm_core::Key;

use super::{DONOR, Draft, Event, Group, JOINER, OTHER, Observer, POD, WRITER};
use crate::script::Action::{
    Crash, ExhaustMemory, Kill, Pause, Remove, Restart, Run, Start, Stop, Unpause,
};
use crate::script::{Action, Container, Mechanism, RunOptions, Sharing};

/// The modes, by their names in `--ipc`. `hostshm` is `private` with a bind mount of the host's
/// `/dev/shm`; `pod` is a container of a pod whose containers share.
const MODES: [(&str, Sharing); 7] = [
    ("private", Sharing::Private),
    ("shareable", Sharing::Shareable),
    ("container", Sharing::Container(DONOR)),
    ("pod", Sharing::Pod(POD)),
    ("host", Sharing::Host),
    ("none", Sharing::None),
    ("hostshm", Sharing::HostShm),
];

pub(super) fn groups(mut keys: impl FnMut() -> Key, text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for (mode, sharing) in MODES {
        for event in events(sharing) {
            let options = RunOptions { sharing, setting: event.setting() };
            let mut draft = Draft::new(mode, event, &Mechanism::ALL, text);
            containers(&mut draft, options);
            groups.push(draft.ask(actions(event, options), &observers(event, sharing), keys()));
        }
    }
    groups
}

/// Returns the events and the limits of a mode.
fn events(sharing: Sharing) -> Vec<Event> {
    let mut events = vec![Event::WriterExits, Event::Pause, Event::StopStart, Event::KillStart];
    events.extend([Event::Restart, Event::Recreate, Event::Oom, Event::Crash]);
    match sharing {
        Sharing::Container(_) => events.extend([Event::DonorRestarts, Event::DonorStopped]),
        Sharing::Pod(_) => events.push(Event::PodRestarts),
        _ => {}
    }
    events.extend([Event::Shmmax, Event::Shmall, Event::Shmmni, Event::RmidForced]);
    events.push(Event::ShmSize);
    events
}

fn containers(draft: &mut Draft<'_>, options: RunOptions) {
    draft.build();
    match options.sharing {
        Sharing::Container(donor) => draft.make(donor, Run(Sharing::Shareable.into())),
        Sharing::Pod(pod) => draft.make(pod, Run(Sharing::Sandbox.into())),
        _ => {}
    }
    draft.make(WRITER, Run(options));
    draft.make(OTHER, Run(options.sharing.into()));
    if joined_observer(options.sharing) == Observer::Joiner {
        draft.make(JOINER, Run(Sharing::Container(WRITER).into()));
    }
}

/// Returns the observer that shares with the writer: its donor, or a joiner.
fn joined_observer(sharing: Sharing) -> Observer {
    match sharing {
        Sharing::Container(_) => Observer::Donor,
        _ => Observer::Joiner,
    }
}

fn observers(event: Event, sharing: Sharing) -> Vec<Observer> {
    let joined = joined_observer(sharing);
    let mut observers = vec![Observer::Own, Observer::Other, joined, Observer::Host];
    if event == Event::DonorStopped {
        // A stopped container cannot read.
        observers.retain(|observer| *observer != Observer::Donor);
    }
    observers
}

fn actions(event: Event, options: RunOptions) -> Vec<(Container, Action)> {
    let writer = |actions: [Action; 2]| actions.map(|action| (WRITER, action)).to_vec();
    match event {
        Event::Pause => writer([Pause, Unpause]),
        Event::StopStart => writer([Stop, Start]),
        Event::KillStart => writer([Kill, Start]),
        Event::Restart => vec![(WRITER, Restart)],
        Event::Recreate => writer([Remove, Run(options)]),
        Event::Oom => vec![(WRITER, ExhaustMemory)],
        Event::Crash => vec![(WRITER, Crash)],
        Event::DonorRestarts => vec![(DONOR, Restart)],
        Event::DonorStopped => vec![(DONOR, Stop), (WRITER, Stop), (WRITER, Start)],
        Event::PodRestarts => vec![(POD, Stop), (POD, Start)],
        // The limits are set when the container starts.
        _ => vec![],
    }
}
