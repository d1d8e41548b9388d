//! The model: an engine without processes, only maps and the kernel's rules.
//!
//! - What is shared lies in a space: the objects of System V and the POSIX message queues in an
//!   IPC namespace, a POSIX object on the tmpfs at `/dev/shm`, a file on the volume that all mount.
//! - A container that shares with nobody gets a namespace and a tmpfs of its own each time that it
//!   starts. Its processes come and go.
//! - A namespace, and a tmpfs, goes with the last container that uses it. The host's stay.
//! - Joining takes what the donor has at that moment, and keeps it whatever the donor does later. Docker takes
//!   `/dev/shm` from the folder of the first donor of a chain.
//! - A pod's sandbox owns what its containers join; a volume of memory outlives it with the pod.
//! - Limits belong to the namespace, the size of `/dev/shm` to the tmpfs, whoever sets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shm_cli::text::spaced;
use shm_core::Errno;

use crate::engine::observation::{Identity, ModelNamespace, Observation, State, failed};
use crate::engine::{Engine, EngineError, EngineInfo, Kernels, Rules, StepOutcome};
use crate::model::objects::{ModelObjects, Refusal};
use crate::process::invocation::Output;
use crate::script::{
    Action, Container, Objects, Place, RunOptions, Setting, Sharing, Step, Workload,
};

mod objects;
pub mod plan;
mod pods;

/// The status of a process that SIGKILL ended, as engines tell it.
const KILLED: i32 = 137;

/// The model of one run.
#[derive(Debug)]
pub struct Model {
    info: EngineInfo,
    objects: Objects,
    world: Mutex<ModelState>,
}

/// Everything there is.
#[derive(Debug)]
struct ModelState {
    rules: Rules,
    spaces: ModelObjects,
    containers: BTreeMap<Container, Instance>,
    /// What the sandboxes belong to that were made with their containers.
    workloads: BTreeMap<Container, Workload>,
    /// How many containers were made.
    made: usize,
    /// How often each container was started.
    starts: BTreeMap<Container, usize>,
}

/// A container, or the sandbox of a pod.
#[derive(Clone, Copy, Debug)]
struct Instance {
    launch: RunOptions,
    state: State,
    /// What it uses while it runs.
    view: View,
    /// Which one it is of all that were made: another of the same name is another.
    number: usize,
    /// The one that it joins, by its number.
    donor: Option<usize>,
    /// The one that brought what was at `/dev/shm` at its last start, by its number; `None` for the host's.
    shm_from: Option<usize>,
}

/// What a place sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    ipc: ModelNamespace,
    /// What is mounted at `/dev/shm`, if anything is.
    shm: Option<ModelNamespace>,
}

const HOST: View = View { ipc: ModelNamespace::HOST, shm: Some(ModelNamespace::HOST) };

impl Model {
    /// A host without containers, on which nobody uses the names of `objects`, and an engine with
    /// `rules`.
    #[must_use]
    pub fn new(info: EngineInfo, rules: Rules, objects: Objects) -> Self {
        let world = ModelState {
            rules,
            spaces: ModelObjects::new(objects.size),
            containers: BTreeMap::new(),
            workloads: BTreeMap::new(),
            made: 0,
            starts: BTreeMap::new(),
        };
        Self { info, objects, world: Mutex::new(world) }
    }
}

impl Engine for Model {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError> {
        // A panic elsewhere leaves the maps as they were after the last whole step.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match step.place {
            Place::Host => StepOutcome::Observed(world.on_host(self.objects, &step.action)),
            Place::In(container) => world.in_container(self.objects, container, &step.action),
        })
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        Ok(0)
    }
}

impl ModelState {
    fn on_host(&mut self, names: Objects, action: &Action) -> Observation {
        match action {
            Action::Processes => {
                let runs = |container: &Instance| container.state == State::Running;
                let is_sandbox = |name| self.workloads.contains_key(name);
                let running = self.containers.iter();
                let running = running.filter(|(name, it)| runs(it) && !is_sandbox(name));
                let running: BTreeSet<_> = running.map(|(name, _)| *name).collect();
                Observation { running: Some(running), ..done() }
            }
            action => self.tool(names, HOST, action),
        }
    }

    /// What is done to a container that is in no state for it means nothing, and is no question.
    fn in_container(&mut self, names: Objects, name: Container, action: &Action) -> StepOutcome {
        let found = self.containers.get(&name).copied();
        let state = found.map_or(State::Gone, |container| container.state);
        let observation = match (action, state) {
            (Action::Run(launch), State::Gone) => self.run(name, *launch),
            // Names are unique.
            (Action::Run(_), _) => refused(),
            (Action::Start | Action::Restart, State::Exited) => self.start(name),
            (Action::Deploy(workload), State::Gone) => self.deploy(workload),
            (Action::Finish, State::Running) => self.finish(name),
            (Action::KillSandbox | Action::Restart, State::Running) => self.restart(name),
            (Action::Replace, State::Running) => self.replace(name),
            (Action::Crash | Action::ChangeImage, State::Running) => self.crash(name),
            (Action::Leak, State::Running) => self.leak(name),
            (Action::Stop, State::Running | State::Exited) | (Action::Kill, State::Running) => {
                self.end(name)
            }
            (Action::Pause, State::Running) => self.set(name, State::Paused),
            (Action::Unpause, State::Paused) | (Action::RestartKubelet, State::Running) => {
                self.set(name, State::Running)
            }
            (Action::Remove, State::Running | State::Paused | State::Exited) => self.remove(name),
            (Action::ExhaustMemory, State::Running) => {
                let namespace = found.map(|container| Identity::Model(container.view.ipc));
                Observation { namespace, ..ended(KILLED) }
            }
            (
                Action::Write(..) | Action::Control(..) | Action::Read(_) | Action::List,
                State::Running,
            ) => {
                let view = found.map_or(HOST, |container| container.view);
                self.tool(names, view, action)
            }
            _ => return StepOutcome::Skipped(format!("{name} is in no state for that")),
        };
        StepOutcome::Observed(observation)
    }

    fn run(&mut self, name: Container, launch: RunOptions) -> Observation {
        let sized = matches!(launch.setting, Some(Setting::ShmSize(_)));
        if sized && !self.rules.policy.may_size_shm(launch.sharing) {
            return refused();
        }
        self.create(name, launch);
        let started = self.start(name);
        if started.state == Some(State::Refused) {
            self.containers.remove(&name);
        }
        started
    }

    /// Makes a container that does not run yet.
    fn create(&mut self, name: Container, launch: RunOptions) {
        self.made += 1;
        let donor = launch.sharing.donor().and_then(|donor| self.containers.get(&donor));
        let (donor, number) = (donor.map(|donor| donor.number), self.made);
        let (state, view, shm_from) = (State::Exited, HOST, None);
        self.containers.insert(name, Instance { launch, state, view, number, donor, shm_from });
    }

    fn restart(&mut self, name: Container) -> Observation {
        self.end(name);
        self.start(name)
    }

    /// Gives a container what its mode says, unless the engine refuses. Starting what runs already
    /// changes nothing; with a pod's sandbox the containers of the pod start.
    fn start(&mut self, name: Container) -> Observation {
        let Some(container) = self.containers.get(&name).copied() else { return refused() };
        let view = match (container.state, self.view_for(name, container.launch.sharing)) {
            (State::Running, _) => container.view,
            (_, Some(view)) => view,
            (_, None) => return refused(),
        };
        if !self.set_up(view, container.launch) {
            return refused();
        }
        let shm_from = self.shm_from(container);
        let started = Instance { state: State::Running, view, shm_from, ..container };
        self.containers.insert(name, started);
        for member in self.members(name) {
            self.start(member);
        }
        Observation {
            state: Some(State::Running),
            namespace: Some(Identity::Model(view.ipc)),
            ..done()
        }
    }

    /// Applies a container's setting, unless the engine refuses. A kernel of the container's own
    /// takes limits without a word and knows none.
    fn set_up(&mut self, view: View, launch: RunOptions) -> bool {
        let own_kernel = self.rules.kernels == Kernels::Own;
        match launch.setting {
            Some(Setting::Sysctl(..)) if own_kernel => {}
            Some(Setting::Sysctl(sysctl, _)) if !self.rules.policy.may_set(sysctl) => return false,
            Some(Setting::Sysctl(..))
                if view.ipc == ModelNamespace::HOST
                    && !self.rules.policy.may_limit_host(launch.sharing) =>
            {
                return false;
            }
            Some(Setting::Sysctl(sysctl, value)) => self.spaces.limit(view.ipc, sysctl, value),
            // Joiners find the tmpfs as it is, and the host's is not theirs to size.
            Some(Setting::ShmSize(size)) if launch.sharing.brings_shm() => {
                self.spaces.size_shm(view.ipc, size);
            }
            _ => {}
        }
        true
    }

    /// What a container would see that starts now; `None` where the engine refuses.
    fn view_for(&mut self, name: Container, sharing: Sharing) -> Option<View> {
        let view = self.wanted_view(name, sharing)?;
        if self.rules.kernels == Kernels::Shared {
            return Some(view);
        }
        // The namespace is that of its own kernel, whatever it asks for. What the engine binds to
        // /dev/shm is bound there too; where there is nothing, that kernel has a place for it.
        let alone = sharing.donor().is_none() && sharing != Sharing::Host;
        let ipc = if alone { view.ipc } else { self.make(name) };
        Some(View { ipc, shm: view.shm.or(Some(ipc)) })
    }

    /// What it would see on the host's kernel.
    fn wanted_view(&mut self, name: Container, sharing: Sharing) -> Option<View> {
        if sharing == Sharing::Host {
            return Some(HOST);
        }
        if let Some(donor) = sharing.donor() {
            let joined = self.joined_view(name, donor)?;
            return Some(self.with_volume(name, donor, joined));
        }
        let made = self.make(name);
        let shm = match sharing {
            Sharing::None => None,
            Sharing::HostShm => Some(ModelNamespace::HOST),
            _ => Some(made),
        };
        Some(View { ipc: made, shm })
    }

    /// What it would see that joins another; `None` where the engine refuses.
    fn joined_view(&mut self, name: Container, donor: Container) -> Option<View> {
        let joiner = self.containers.get(&name).copied()?;
        let is_the_same = |it: &&Instance| Some(it.number) == joiner.donor;
        let found = self.containers.get(&donor).filter(is_the_same).copied()?;
        if found.state == State::Exited && self.rules.policy.starts_donors() {
            self.start(donor);
        }
        let found = self.containers.get(&donor).copied()?;
        let may = matches!(joiner.launch.sharing, Sharing::Pod(_))
            || self.rules.policy.may_join(found.launch.sharing);
        if !may || found.state == State::Exited {
            return None;
        }
        let shm = match (found.view.shm, found.shm_from) {
            (None, _) if self.rules.policy.fills_in_shm() => Some(self.make(name)),
            (_, Some(first)) if self.rules.policy.joins_shm_by_path() => Some(self.folder(first)?),
            (shm, _) => shm,
        };
        Some(View { shm, ..found.view })
    }

    /// Which container brings what is at `/dev/shm` of one that starts.
    fn shm_from(&self, container: Instance) -> Option<usize> {
        if container.launch.sharing.brings_shm() {
            return Some(container.number);
        }
        let donor = self.containers.get(&container.launch.sharing.donor()?)?;
        donor.shm_from
    }

    /// What is in the folder that a container's `/dev/shm` is mounted on; `None` after its removal.
    fn folder(&self, number: usize) -> Option<ModelNamespace> {
        let (name, first) = self.containers.iter().find(|(_, it)| it.number == number)?;
        let mounted = first.view.shm.filter(|_| first.state != State::Exited);
        Some(mounted.unwrap_or(unmounted(*name)))
    }

    /// Something new for the next start of a container.
    fn make(&mut self, name: Container) -> ModelNamespace {
        let starts = self.starts.entry(name).or_default();
        *starts += 1;
        ModelNamespace { place: Place::In(name), start: *starts }
    }

    /// The containers of a pod, by its sandbox.
    fn members(&self, sandbox: Container) -> Vec<Container> {
        let member = |(_, it): &(&Container, &Instance)| it.launch.sharing == Sharing::Pod(sandbox);
        self.containers.iter().filter(member).map(|(name, _)| *name).collect()
    }

    /// Ends a container's process; with a pod's sandbox those of all its containers.
    fn end(&mut self, name: Container) -> Observation {
        for member in self.members(name) {
            self.set(member, State::Exited);
        }
        self.set(name, State::Exited)
    }

    /// Removes a container, unless the engine refuses because others have joined it; with a pod's
    /// sandbox go the containers of the pod.
    fn remove(&mut self, name: Container) -> Observation {
        let joined = |it: &Instance| it.launch.sharing == Sharing::Container(name);
        if !self.rules.policy.may_remove_donor() && self.containers.values().any(joined) {
            return refused();
        }
        self.end(name);
        for member in self.members(name) {
            self.containers.remove(&member);
        }
        self.containers.remove(&name);
        self.workloads.remove(&name);
        for joiner in self.containers.values_mut() {
            // Nothing can be made in a folder that was removed.
            joiner.view.shm = joiner.view.shm.filter(|it| *it != unmounted(name));
        }
        self.collect_unused();
        Observation { state: Some(State::Gone), ..done() }
    }

    fn set(&mut self, name: Container, state: State) -> Observation {
        let namespace = self.containers.get_mut(&name).map(|container| {
            container.state = state;
            Identity::Model(container.view.ipc)
        });
        self.collect_unused();
        let namespace = namespace.filter(|_| state == State::Running);
        Observation { state: Some(state), namespace, ..done() }
    }

    fn collect_unused(&mut self) {
        let lives = |container: &&Instance| container.state != State::Exited;
        let views = self.containers.values().filter(lives).map(|container| container.view);
        let used = views.flat_map(|view| [Some(view.ipc), view.shm]).flatten();
        let volumes = self.workloads.keys().map(|pod| pods::volume(*pod));
        let folders = self.containers.keys().map(|name| unmounted(*name));
        let used = used.chain(volumes).chain(folders);
        let used: BTreeSet<_> = used.chain([ModelNamespace::HOST]).collect();
        self.spaces.keep(&used);
    }

    /// What a tool prints that runs where `view` is seen.
    fn tool(&mut self, names: Objects, view: View, action: &Action) -> Observation {
        let namespace = Some(Identity::Model(view.ipc));
        let observation = match action {
            Action::Write(mechanism, text) => {
                match self.spaces.write(*mechanism, view.space(*mechanism), text) {
                    Ok(()) => printed(b"shm write success\n".to_vec()),
                    Err(Refusal { call, errno }) => failed("write", call, errno),
                }
            }
            Action::Control(mechanism, text) => {
                match self.spaces.create(*mechanism, view.space(*mechanism), text) {
                    Ok(()) => done(),
                    Err(_) => ended(255),
                }
            }
            Action::Read(mechanism) => match self.spaces.read(*mechanism, view.space(*mechanism)) {
                Some(text) => printed(read(text)),
                None => failed("read", mechanism.call(), Errno::ENOENT),
            },
            Action::List => {
                let table = self.spaces.list(names.key, view.ipc);
                printed(table.to_string().into_bytes())
            }
            _ => return done(),
        };
        Observation { namespace, ..observation }
    }
}

/// The folder that a container's `/dev/shm` is mounted on, without that mount. It is there as long as the container.
fn unmounted(name: Container) -> ModelNamespace {
    ModelNamespace { place: Place::In(name), start: 0 }
}

fn done() -> Observation {
    ended(0)
}

/// A command that ended with this exit status.
fn ended(exit_code: i32) -> Observation {
    Output { exit_code: Some(exit_code), ..Output::default() }.into()
}

/// A command that printed this and succeeded.
fn printed(stdout: Vec<u8>) -> Observation {
    Output { stdout, exit_code: Some(0), ..Output::default() }.into()
}

fn refused() -> Observation {
    Observation { state: Some(State::Refused), ..Observation::default() }
}

/// What `shm_rd` prints.
fn read(text: &str) -> Vec<u8> {
    [spaced(text.as_bytes()), b"\nshm read success\n".to_vec()].concat()
}
