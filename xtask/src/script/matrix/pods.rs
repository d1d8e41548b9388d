//! The matrix of pods: their containers, their controllers and their events.

use shm_core::Key;

use super::{APART, Draft, Event, Group, JOINER, MEMORY, OTHER, Observer, POD, WRITER};
use crate::script::Action::{
    ChangeImage, Crash, Deploy, ExhaustMemory, Finish, KillSandbox, Leak, Remove, Replace,
    RestartKubelet, Run,
};
use crate::script::{
    Action, Container, Controller, Mechanism, Member, Pod, Setting, Sharing, Workload,
};

/// The mechanism `file` is missing, because pods have no volume that all of them mount.
const MECHANISMS: &[Mechanism] =
    &[Mechanism::Sysv, Mechanism::Sem, Mechanism::Msg, Mechanism::Mqueue, Mechanism::Posix];

const fn given(name: Container, setting: Setting) -> Member {
    Member { name, init: false, setting: Some(setting) }
}

const OTHER_POD: Pod = Pod { name: Container("other-pod"), containers: &[Member::main(OTHER)] };
const ANOTHER: &[Pod] = &[OTHER_POD];
const ALONE: &[Pod] = &[Pod { name: POD, containers: &[Member::main(WRITER)] }];
const TWO_CONTAINERS: &[Pod] =
    &[Pod { name: POD, containers: &[Member::main(WRITER), Member::main(JOINER)] }];
const WITH_LITTLE_MEMORY: &[Pod] = &[Pod {
    name: POD,
    containers: &[given(WRITER, Setting::Memory(MEMORY)), Member::main(JOINER)],
}];
const ON_A_VOLUME: &[Pod] = &[Pod {
    name: POD,
    containers: &[
        given(WRITER, Setting::ShmVolume),
        given(JOINER, Setting::ShmVolume),
        Member::main(APART),
    ],
}];
const INIT: &[Pod] = &[Pod {
    name: POD,
    containers: &[Member { name: WRITER, init: true, setting: None }, Member::main(JOINER)],
}];
const REPLICAS: &[Pod] = &[Pod { name: POD, containers: &[Member::main(WRITER)] }, OTHER_POD];

/// The name of each mode, its workload and its events.
const MODES: [(&str, Workload, &[Event]); 8] = [
    (
        "pod",
        Workload::pod(TWO_CONTAINERS),
        &[
            Event::WriterExits,
            Event::Debug,
            Event::Crash,
            Event::ImageChanged,
            Event::Leak,
            Event::KubeletRestarted,
            Event::SandboxKilled,
            Event::Recreate,
            Event::Shmmax,
            Event::Shmall,
            Event::Shmmni,
            Event::RmidForced,
            Event::UnsafeSysctl,
        ],
    ),
    ("init", Workload::pod(INIT), &[Event::InitExits]),
    (
        "shm-volume",
        Workload::pod(ON_A_VOLUME),
        &[
            Event::WriterExits,
            Event::Crash,
            Event::ImageChanged,
            Event::KubeletRestarted,
            Event::SandboxKilled,
            Event::Recreate,
        ],
    ),
    (
        "host-ipc",
        Workload { ipc: Sharing::Host, ..Workload::pod(TWO_CONTAINERS) },
        &[
            Event::WriterExits,
            Event::Crash,
            Event::ImageChanged,
            Event::SandboxKilled,
            Event::Deleted,
            Event::Recreate,
            Event::RmidForced,
        ],
    ),
    (
        "deployment",
        Workload { controller: Controller::Deployment, ..Workload::pod(REPLICAS) },
        &[Event::WriterExits, Event::Crash, Event::Replaced],
    ),
    (
        "stateful-set",
        Workload { controller: Controller::StatefulSet, ..Workload::pod(REPLICAS) },
        &[Event::WriterExits, Event::Crash, Event::Replaced],
    ),
    (
        "job-on-failure",
        Workload { controller: Controller::JobOnFailure, ..Workload::pod(ALONE) },
        &[Event::Crash],
    ),
    (
        "job-never",
        Workload { controller: Controller::JobNever, ..Workload::pod(ALONE) },
        &[Event::Crash],
    ),
];

pub(super) fn groups(mut keys: impl FnMut() -> Key, text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, mode, events) in MODES {
        for event in events {
            let workload = workload(mode, *event);
            let mut draft = Draft::new(name, *event, MECHANISMS, text);
            pods(&mut draft, workload);
            let observers = observers(*event, workload);
            groups.push(draft.ask(actions(*event, workload), &observers, keys()));
        }
    }
    groups
}

fn workload(mode: Workload, event: Event) -> Workload {
    match event {
        // The event adds the other container.
        Event::Debug => Workload { pods: ALONE, ..mode },
        Event::Leak => Workload { pods: WITH_LITTLE_MEMORY, ..mode },
        _ => {
            let setting = event.setting().filter(|setting| matches!(setting, Setting::Sysctl(..)));
            Workload { setting, ..mode }
        }
    }
}

fn pods(draft: &mut Draft<'_>, workload: Workload) {
    draft.build();
    draft.make(POD, Deploy(workload));
    if workload.pods.len() == 1 && workload.pods != ON_A_VOLUME {
        let other = Workload { ipc: workload.ipc, ..Workload::pod(ANOTHER) };
        draft.make(OTHER_POD.name, Deploy(other));
    }
}

fn observers(event: Event, workload: Workload) -> Vec<Observer> {
    let containers = workload.pods[0].containers;
    let has = |name: Container| containers.iter().any(|member| member.name == name && !member.init);
    let mut observers = Vec::new();
    if has(WRITER) {
        observers.push(Observer::Own);
    }
    observers.push(if has(APART) { Observer::Apart } else { Observer::Other });
    if has(JOINER) || event == Event::Debug {
        observers.push(Observer::Joiner);
    }
    observers.push(Observer::Host);
    if event == Event::Deleted {
        observers.retain(|observer| matches!(observer, Observer::Other | Observer::Host));
    }
    observers
}

fn actions(event: Event, workload: Workload) -> Vec<(Container, Action)> {
    match event {
        Event::Debug => vec![(JOINER, Run(Sharing::Pod(POD).into()))],
        Event::Crash => vec![(WRITER, Crash)],
        Event::ImageChanged => vec![(WRITER, ChangeImage)],
        Event::Leak => vec![(WRITER, Leak), (WRITER, ExhaustMemory)],
        Event::InitExits => vec![(WRITER, Finish)],
        Event::SandboxKilled => vec![(POD, KillSandbox)],
        Event::KubeletRestarted => vec![(POD, RestartKubelet)],
        Event::Deleted => vec![(POD, Remove)],
        Event::Recreate => vec![(POD, Remove), (POD, Deploy(workload))],
        Event::Replaced => vec![(POD, Replace)],
        // The limits are set when the pod starts.
        _ => vec![],
    }
}
