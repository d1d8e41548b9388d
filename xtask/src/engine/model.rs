//! The model: an engine without processes, only maps and the kernel's rules.
//!
//! - A System V segment lives in an IPC namespace and is found there by its key. A POSIX object is
//!   a file on the tmpfs at `/dev/shm`; a file on a volume is seen by all who mount it.
//! - A container that shares with nobody gets a namespace and a tmpfs of its own each time that it
//!   starts. Its processes come and go.
//! - A namespace, and a tmpfs, goes with the last container that uses it. The host's stay.
//! - Joining takes what the donor has at that moment, and keeps it whatever the donor does later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shm_core::table::{Row, Table};
use shm_core::{Errno, text};

use super::{Answer, Engine, EngineError, EngineInfo, Policy};
use crate::observation::{Identity, Made, Observation, State, failed};
use crate::script::{Action, Container, Mechanism, Objects, Place, Sharing, Step};

/// The size and the permission bits that `shm_wr` asks for.
const SIZE: u64 = 1024;
const MODE: u32 = 0o666;

/// The model of one run.
#[derive(Debug)]
pub struct Model {
    info: EngineInfo,
    objects: Objects,
    world: Mutex<World>,
}

/// Everything there is.
#[derive(Debug)]
struct World {
    policy: Policy,
    /// The text under the key, for each IPC namespace that holds the segment.
    segments: BTreeMap<Made, String>,
    /// The text of the POSIX object, for each tmpfs that holds it.
    objects: BTreeMap<Made, String>,
    /// The text of the file on the volume.
    file: Option<String>,
    containers: BTreeMap<Container, Instance>,
    /// How often each container was started.
    starts: BTreeMap<Container, usize>,
}

/// A container.
#[derive(Clone, Copy, Debug)]
struct Instance {
    sharing: Sharing,
    state: State,
    /// What it uses while it runs.
    view: View,
}

/// What a place sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    ipc: Made,
    /// What is mounted at `/dev/shm`, if anything is.
    shm: Option<Made>,
}

const HOST: View = View { ipc: Made::HOST, shm: Some(Made::HOST) };

impl Model {
    /// A host without containers, on which nobody uses the names of `objects`, and an engine that
    /// refuses what `policy` says.
    #[must_use]
    pub fn new(info: EngineInfo, policy: Policy, objects: Objects) -> Self {
        let world = World {
            policy,
            segments: BTreeMap::new(),
            objects: BTreeMap::new(),
            file: None,
            containers: BTreeMap::new(),
            starts: BTreeMap::new(),
        };
        Self { info, objects, world: Mutex::new(world) }
    }
}

impl Engine for Model {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError> {
        // A panic elsewhere leaves the maps as they were after the last whole step.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match step.place {
            Place::Host => Answer::Observed(world.on_host(self.objects, &step.action)),
            Place::In(container) => world.in_container(self.objects, container, &step.action),
        })
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        Ok(0)
    }
}

impl World {
    fn on_host(&mut self, names: Objects, action: &Action) -> Observation {
        match action {
            Action::Processes => {
                let runs = |container: &Instance| container.state == State::Running;
                let running = self.containers.iter().filter(|(_, container)| runs(container));
                let running: BTreeSet<_> = running.map(|(name, _)| *name).collect();
                Observation { running: Some(running), ..done() }
            }
            action => self.tool(names, HOST, action),
        }
    }

    fn in_container(&mut self, names: Objects, name: Container, action: &Action) -> Answer {
        let observation = match action {
            // Names are unique.
            Action::Run(_) if self.containers.contains_key(&name) => refused(),
            Action::Run(sharing) => {
                let state = State::Exited;
                self.containers.insert(name, Instance { sharing: *sharing, state, view: HOST });
                let started = self.start(name);
                if started.state == Some(State::Refused) {
                    self.containers.remove(&name);
                }
                started
            }
            Action::Start => self.start(name),
            Action::Restart => {
                self.set(name, State::Exited);
                self.start(name)
            }
            Action::Stop | Action::Kill => self.set(name, State::Exited),
            Action::Pause => self.set(name, State::Paused),
            Action::Unpause => self.set(name, State::Running),
            Action::Remove if self.is_guarded(name) => refused(),
            Action::Remove => {
                self.set(name, State::Exited);
                self.containers.remove(&name);
                Observation { state: Some(State::Gone), ..done() }
            }
            action => match self.containers.get(&name) {
                Some(Instance { state: State::Running, view, .. }) => {
                    self.tool(names, *view, action)
                }
                _ => return Answer::Skipped(format!("{name} does not run")),
            },
        };
        Answer::Observed(observation)
    }

    /// Gives a container what its mode says, unless the engine refuses. Starting what runs already
    /// changes nothing.
    fn start(&mut self, name: Container) -> Observation {
        let Some(container) = self.containers.get(&name).copied() else { return refused() };
        let view = match (container.state, self.view_for(name, container.sharing)) {
            (State::Running, _) => container.view,
            (_, Some(view)) => view,
            (_, None) => return refused(),
        };
        self.containers.insert(name, Instance { state: State::Running, view, ..container });
        Observation {
            state: Some(State::Running),
            namespace: Some(Identity::Model(view.ipc)),
            ..done()
        }
    }

    /// What a container would see that starts now; `None` where the engine refuses.
    fn view_for(&mut self, name: Container, sharing: Sharing) -> Option<View> {
        match sharing {
            Sharing::Host => return Some(HOST),
            Sharing::Container(donor) => {
                if self.policy.starts_donors() && self.containers.contains_key(&donor) {
                    self.start(donor);
                }
                let donor = self.containers.get(&donor)?;
                let may = donor.state == State::Running && self.policy.may_join(donor.sharing);
                return may.then_some(donor.view);
            }
            _ => {}
        }
        let starts = self.starts.entry(name).or_default();
        *starts += 1;
        let made = Made { place: Place::In(name), start: *starts };
        let shm = match sharing {
            Sharing::None => None,
            Sharing::HostShm => Some(Made::HOST),
            _ => Some(made),
        };
        Some(View { ipc: made, shm })
    }

    /// Whether the engine refuses to remove a container because others have joined it.
    fn is_guarded(&self, name: Container) -> bool {
        let joined = |it: &Instance| it.sharing == Sharing::Container(name);
        !self.policy.may_remove_donor() && self.containers.values().any(joined)
    }

    fn set(&mut self, name: Container, state: State) -> Observation {
        if let Some(container) = self.containers.get_mut(&name) {
            container.state = state;
        }
        self.drop_what_nobody_uses();
        Observation { state: Some(state), ..done() }
    }

    fn drop_what_nobody_uses(&mut self) {
        let lives = |container: &&Instance| container.state != State::Exited;
        let views = || self.containers.values().filter(lives).map(|container| container.view);
        let spaces: BTreeSet<_> = views().map(|view| view.ipc).chain([Made::HOST]).collect();
        let mounts: BTreeSet<_> = views().filter_map(|view| view.shm).chain([Made::HOST]).collect();
        self.segments.retain(|made, _| spaces.contains(made));
        self.objects.retain(|made, _| mounts.contains(made));
    }

    /// What a tool prints that runs where `view` is seen.
    fn tool(&mut self, names: Objects, view: View, action: &Action) -> Observation {
        let namespace = Some(Identity::Model(view.ipc));
        let observation = match action {
            Action::Write(mechanism, text) => match self.slot(*mechanism, view) {
                Some(mut slot) => {
                    slot.write(text);
                    Observation { stdout: b"shm write success\n".to_vec(), ..done() }
                }
                None => failed("write", mechanism.call(), Errno::ENOENT),
            },
            Action::Read(mechanism) => {
                match self.slot(*mechanism, view).and_then(|slot| slot.read()) {
                    Some(text) => Observation { stdout: printed(&text), ..done() },
                    None => failed("read", mechanism.call(), Errno::ENOENT),
                }
            }
            Action::List => Observation { stdout: self.list(names, view).into_bytes(), ..done() },
            _ => return done(),
        };
        Observation { namespace, ..observation }
    }

    /// Where a mechanism keeps its text; `None` where that place does not exist.
    fn slot(&mut self, mechanism: Mechanism, view: View) -> Option<Slot<'_>> {
        Some(match mechanism {
            Mechanism::Sysv => Slot::In(&mut self.segments, view.ipc),
            Mechanism::Posix => Slot::In(&mut self.objects, view.shm?),
            Mechanism::File => Slot::File(&mut self.file),
        })
    }

    fn list(&self, names: Objects, view: View) -> String {
        let row = |_: &String| Row {
            key: names.key.raw(),
            // The first that is made in a namespace.
            shmid: 0,
            owner: "root".to_owned(),
            perms: MODE,
            bytes: SIZE,
            nattch: 0,
            dest: false,
            locked: false,
        };
        Table(self.segments.get(&view.ipc).map(row).into_iter().collect()).to_string()
    }
}

/// A place for one text.
enum Slot<'a> {
    In(&'a mut BTreeMap<Made, String>, Made),
    File(&'a mut Option<String>),
}

impl Slot<'_> {
    fn write(&mut self, text: &str) {
        match self {
            Self::In(map, made) => _ = map.insert(*made, text.to_owned()),
            Self::File(file) => **file = Some(text.to_owned()),
        }
    }

    fn read(&self) -> Option<String> {
        match self {
            Self::In(map, made) => map.get(made).cloned(),
            Self::File(file) => (*file).clone(),
        }
    }
}

fn done() -> Observation {
    Observation { exit_code: Some(0), ..Observation::default() }
}

fn refused() -> Observation {
    Observation { state: Some(State::Refused), ..Observation::default() }
}

fn printed(text: &str) -> Vec<u8> {
    [text::spaced(text.as_bytes()), b"\nshm read success\n".to_vec()].concat()
}
