//! The model: an engine without processes, which applies the kernel's rules to maps.
//!
//! - System V objects and POSIX message queues are in an IPC namespace, POSIX objects on the tmpfs
//!   at `/dev/shm`, files on the volume that all containers mount.
//! - Unless it joins a donor or the host, a container gets a new namespace and tmpfs at each start.
//! - A namespace or a tmpfs ends with the last container that uses it, except the host's.
//! - A joiner gets the donor's namespace and `/dev/shm` as they are at that moment, and keeps them.
//!   With Docker, it gets `/dev/shm` from the folder of the first donor of a chain.
//! - A pod's sandbox owns the namespaces of the pod. A memory volume exists as long as the pod.
//! - Limits belong to the namespace, and the size of `/dev/shm` to the tmpfs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use shm_cli::text::spaced;
use shm_core::Errno;

use crate::engine::observation::{Identity, ModelNamespace, Observation, State, failed};
use crate::engine::{Engine, EngineError, EngineInfo, Kernels, Rules, StepOutcome};
use crate::model::objects::{ModelObjects, Refusal};
use crate::model::sharing::folder;
use crate::process::invocation::Output;
use crate::script::{
    Action, Container, Objects, Place, RunOptions, Setting, Sharing, Step, Workload,
};

mod objects;
pub mod plan;
mod pods;
mod sharing;

/// The exit status that engines report for a process killed by SIGKILL.
const KILLED: i32 = 137;

/// The model of an engine, for one run.
#[derive(Debug)]
pub struct Model {
    info: EngineInfo,
    objects: Objects,
    state: Mutex<ModelState>,
}

#[derive(Debug)]
struct ModelState {
    rules: Rules,
    objects: ModelObjects,
    containers: BTreeMap<Container, Instance>,
    /// The workloads of deployed sandboxes.
    workloads: BTreeMap<Container, Workload>,
    created: usize,
    /// The number of namespaces created for each container.
    starts: BTreeMap<Container, usize>,
}

/// A container, or the sandbox of a pod.
#[derive(Clone, Copy, Debug)]
struct Instance {
    options: RunOptions,
    state: State,
    /// The view of its last start.
    view: View,
    /// Distinguishes it from later containers of the same name.
    number: usize,
    /// The number of the container that it joins.
    donor: Option<usize>,
    /// The number of the container that owns its `/dev/shm`; `None` for the host's.
    shm_from: Option<usize>,
}

/// The namespaces that a place uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct View {
    ipc: ModelNamespace,
    /// The mount at `/dev/shm`.
    shm: Option<ModelNamespace>,
}

const HOST: View = View { ipc: ModelNamespace::HOST, shm: Some(ModelNamespace::HOST) };

impl Model {
    /// Creates the model of an engine with `rules`, on a host without containers and objects.
    #[must_use]
    pub fn new(info: EngineInfo, rules: Rules, objects: Objects) -> Self {
        let state = ModelState {
            rules,
            objects: ModelObjects::new(objects.size),
            containers: BTreeMap::new(),
            workloads: BTreeMap::new(),
            created: 0,
            starts: BTreeMap::new(),
        };
        Self { info, objects, state: Mutex::new(state) }
    }
}

impl Engine for Model {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError> {
        // A panic of another thread does not invalidate the maps.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match step.place {
            Place::Host => StepOutcome::Observed(state.on_host(self.objects, &step.action)),
            Place::In(container) => state.in_container(self.objects, container, &step.action),
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

    /// Applies `action`, or skips it if the container is in the wrong state for it.
    fn in_container(&mut self, names: Objects, name: Container, action: &Action) -> StepOutcome {
        let found = self.containers.get(&name);
        let (state, view) = found.map_or((State::Gone, HOST), |it| (it.state, it.view));
        let namespace = Some(Identity::Model(view.ipc));
        let observation = match (action, state) {
            (Action::Run(options), State::Gone) => self.run(name, *options),
            (Action::Run(_), _) => refused(),
            (Action::Start | Action::Restart, State::Exited) => self.start(name),
            (Action::Deploy(workload), State::Gone) => self.deploy(workload),
            (Action::Finish, State::Running) => self.finish(name),
            (Action::KillSandbox | Action::Restart, State::Running) => self.restart(name),
            (Action::Replace, State::Running) => self.replace(name),
            (Action::Crash | Action::ChangeImage, State::Running) => self.crash(name),
            // The pages of the segment stay charged to the container that touched them first, which
            // leaves less memory for the container's next process.
            (Action::Leak, State::Running) => Observation { namespace, ..done() },
            (Action::Stop, State::Running | State::Exited) | (Action::Kill, State::Running) => {
                self.end(name)
            }
            (Action::Pause, State::Running) => self.set(name, State::Paused),
            (Action::Unpause, State::Paused) | (Action::RestartKubelet, State::Running) => {
                self.set(name, State::Running)
            }
            (Action::Remove, State::Running | State::Paused | State::Exited) => self.remove(name),
            (Action::ExhaustMemory, State::Running) => Observation { namespace, ..ended(KILLED) },
            (
                Action::Write(..) | Action::Control(..) | Action::Read(_) | Action::List,
                State::Running,
            ) => self.tool(names, view, action),
            _ => return StepOutcome::Skipped(format!("{name} is in the wrong state")),
        };
        StepOutcome::Observed(observation)
    }

    fn run(&mut self, name: Container, options: RunOptions) -> Observation {
        let sized = matches!(options.setting, Some(Setting::ShmSize(_)));
        if sized && !self.rules.policy.may_size_shm(options.sharing) {
            return refused();
        }
        self.create(name, options);
        let started = self.start(name);
        if started.state == Some(State::Refused) {
            self.containers.remove(&name);
        }
        started
    }

    fn create(&mut self, name: Container, options: RunOptions) {
        self.created += 1;
        let donor = options.sharing.donor().and_then(|donor| self.containers.get(&donor));
        let (donor, number) = (donor.map(|donor| donor.number), self.created);
        let (state, view, shm_from) = (State::Exited, HOST, None);
        self.containers.insert(name, Instance { options, state, view, number, donor, shm_from });
    }

    fn restart(&mut self, name: Container) -> Observation {
        self.end(name);
        self.start(name)
    }

    /// Starts a container, or a sandbox with the containers of its pod. A running container keeps
    /// its view.
    fn start(&mut self, name: Container) -> Observation {
        let Some(container) = self.containers.get(&name).copied() else { return refused() };
        let view = match (container.state, self.view_for(name, container.options.sharing)) {
            (State::Running, _) => container.view,
            (_, Some(view)) => view,
            (_, None) => return refused(),
        };
        if !self.apply_setting(view, container.options) {
            return refused();
        }
        let shm_from = self.shm_from(container);
        let started = Instance { state: State::Running, view, shm_from, ..container };
        self.containers.insert(name, started);
        for member in self.containers_of_pod(name) {
            self.start(member);
        }
        Observation {
            state: Some(State::Running),
            namespace: Some(Identity::Model(view.ipc)),
            ..done()
        }
    }

    /// Applies the setting of a container, or returns `false` if the engine refuses it. A kernel of
    /// the container's own accepts every limit and ignores it.
    fn apply_setting(&mut self, view: View, options: RunOptions) -> bool {
        let own_kernel = self.rules.kernels == Kernels::Own;
        match options.setting {
            Some(Setting::Sysctl(..)) if own_kernel => {}
            Some(Setting::Sysctl(sysctl, _)) if !self.rules.policy.may_set(sysctl) => return false,
            Some(Setting::Sysctl(..))
                if view.ipc == ModelNamespace::HOST
                    && !self.rules.policy.may_limit_host(options.sharing) =>
            {
                return false;
            }
            Some(Setting::Sysctl(sysctl, value)) => self.objects.limit(view.ipc, sysctl, value),
            // The size has no effect on an existing tmpfs, a donor's or the host's.
            Some(Setting::ShmSize(size)) if options.sharing.brings_shm() => {
                self.objects.size_shm(view.ipc, size);
            }
            _ => {}
        }
        true
    }

    fn containers_of_pod(&self, sandbox: Container) -> Vec<Container> {
        let sharing = Sharing::Pod(sandbox);
        let member = |(_, it): &(&Container, &Instance)| it.options.sharing == sharing;
        self.containers.iter().filter(member).map(|(name, _)| *name).collect()
    }

    /// Stops a container, or a sandbox with the containers of its pod.
    fn end(&mut self, name: Container) -> Observation {
        for member in self.containers_of_pod(name) {
            self.set(member, State::Exited);
        }
        self.set(name, State::Exited)
    }

    /// Removes a container, or a sandbox with the containers of its pod, unless the engine refuses
    /// because other containers have joined it.
    fn remove(&mut self, name: Container) -> Observation {
        let joined = |it: &Instance| it.options.sharing == Sharing::Container(name);
        if !self.rules.policy.may_remove_donor() && self.containers.values().any(joined) {
            return refused();
        }
        self.end(name);
        for member in self.containers_of_pod(name) {
            self.containers.remove(&member);
        }
        self.containers.remove(&name);
        self.workloads.remove(&name);
        for joiner in self.containers.values_mut() {
            // No file can be created in a removed folder.
            joiner.view.shm = joiner.view.shm.filter(|it| *it != folder(name));
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
        let folders = self.containers.keys().map(|name| folder(*name));
        let used: BTreeSet<_> = used.chain(folders).chain([ModelNamespace::HOST]).collect();
        self.objects.keep(&used);
    }

    /// Runs a tool in the namespaces of `view`.
    fn tool(&mut self, names: Objects, view: View, action: &Action) -> Observation {
        let namespace = Some(Identity::Model(view.ipc));
        let space = action.mechanism().and_then(|mechanism| view.space(mechanism));
        let observation = match action {
            Action::Write(mechanism, text) => match self.objects.write(*mechanism, space, text) {
                Ok(()) => printed(b"shm write success\n".to_vec()),
                Err(Refusal { call, errno }) => failed("write", call, errno),
            },
            Action::Control(mechanism, text) => {
                match self.objects.create(*mechanism, space, text) {
                    Ok(()) => done(),
                    Err(_) => ended(255),
                }
            }
            Action::Read(mechanism) => match self.objects.read(*mechanism, space) {
                Some(text) => {
                    printed([spaced(text.as_bytes()), b"\nshm read success\n".to_vec()].concat())
                }
                None => failed("read", mechanism.call(), Errno::ENOENT),
            },
            Action::List => {
                let table = self.objects.list(names.key, view.ipc);
                printed(table.to_string().into_bytes())
            }
            _ => return done(),
        };
        Observation { namespace, ..observation }
    }
}

fn done() -> Observation {
    ended(0)
}

fn ended(exit_code: i32) -> Observation {
    Output { exit_code: Some(exit_code), ..Output::default() }.into()
}

fn printed(stdout: Vec<u8>) -> Observation {
    Output { stdout, exit_code: Some(0), ..Output::default() }.into()
}

fn refused() -> Observation {
    Observation { state: Some(State::Refused), ..Observation::default() }
}
