//! The matrix of containers, in every mode of `--ipc`.

use shm_core::Key;

use super::{DONOR, Draft, Event, Group, JOINER, OTHER, Observer, POD, WRITER};
use crate::script::Action::{
    Crash, ExhaustMemory, Kill, Pause, Remove, Restart, Run, Start, Stop, Unpause,
};
use crate::script::{Action, Container, Mechanism, RunOptions, Sharing};

/// Every mode, by its name in `--ipc`; `hostshm` is `private` with the host's `/dev/shm` bound in,
/// `pod` a container of a pod whose containers share.
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
            let launch = RunOptions { sharing, setting: event.setting() };
            let mut draft = Draft::new(mode, event, &Mechanism::ALL, text);
            containers(&mut draft, launch);
            groups.push(draft.ask(actions(event, launch), &observers(event, sharing), keys()));
        }
    }
    groups
}

/// The events and the limits of a mode.
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

fn containers(draft: &mut Draft<'_>, launch: RunOptions) {
    draft.build();
    match launch.sharing {
        Sharing::Container(donor) => draft.make(donor, Run(Sharing::Shareable.into())),
        Sharing::Pod(pod) => draft.make(pod, Run(Sharing::Sandbox.into())),
        _ => {}
    }
    draft.make(WRITER, Run(launch));
    draft.make(OTHER, Run(launch.sharing.into()));
    if fourth(launch.sharing) == Observer::Joiner {
        draft.make(JOINER, Run(Sharing::Container(WRITER).into()));
    }
}

/// The observer besides the writer, another one and the host.
fn fourth(sharing: Sharing) -> Observer {
    match sharing {
        Sharing::Container(_) => Observer::Donor,
        _ => Observer::Joiner,
    }
}

fn observers(event: Event, sharing: Sharing) -> Vec<Observer> {
    let mut observers = vec![Observer::Own, Observer::Other, fourth(sharing), Observer::Host];
    if event == Event::DonorStopped {
        // It does not run: there is nobody to look.
        observers.retain(|observer| *observer != Observer::Donor);
    }
    observers
}

fn actions(event: Event, launch: RunOptions) -> Vec<(Container, Action)> {
    let writer = |actions: [Action; 2]| actions.map(|action| (WRITER, action)).to_vec();
    match event {
        Event::Pause => writer([Pause, Unpause]),
        Event::StopStart => writer([Stop, Start]),
        Event::KillStart => writer([Kill, Start]),
        Event::Restart => vec![(WRITER, Restart)],
        Event::Recreate => writer([Remove, Run(launch)]),
        Event::Oom => vec![(WRITER, ExhaustMemory)],
        Event::Crash => vec![(WRITER, Crash)],
        Event::DonorRestarts => vec![(DONOR, Restart)],
        Event::DonorStopped => vec![(DONOR, Stop), (WRITER, Stop), (WRITER, Start)],
        Event::PodRestarts => vec![(POD, Stop), (POD, Start)],
        // Nothing happens: the limits were there from the start.
        _ => vec![],
    }
}
