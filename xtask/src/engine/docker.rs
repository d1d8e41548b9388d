//! Docker and Podman, through their command lines.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use shm_core::IpcNamespace;

use self::client::{client, failed};
use self::failure::classify;
use self::remove::Remover;
use super::image::Image;
use super::tool::Tools;
use super::{
    Engine, EngineError, EngineInfo, EngineKind, FailureKind, Kernels, ONLY_CLUSTERS, StepOutcome,
    with,
};
use crate::engine::observation::{Identity, Observation, State};
use crate::process::invocation::Output;
use crate::process::labels::{LEDGER_LABEL, RUN_LABEL, RUN_VARIABLE, RunId};
use crate::process::ledger::{EngineAt, Entry};
use crate::process::name::{CheckedName, Id};
use crate::process::proc_stat::ProcStat;
use crate::script::{Action, Container, Mechanism, Place, RunOptions, Setting, Sharing, Step};

pub(crate) mod client;
mod conmon_oom;
pub(super) mod failure;
pub(super) mod inspect;
pub(crate) mod probe;
mod refusal;
pub(crate) mod remove;
pub(crate) mod run_options;
mod state;

/// How long an engine may continue with a request after its client has ended.
pub const ENGINE_SETTLES: Duration = Duration::from_secs(1);

/// The longest time that a container may stay between two states.
const PATIENCE: Duration = Duration::from_secs(10);
/// The polling interval.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An engine with Docker's command line, and the containers of one run.
#[derive(Debug)]
pub struct Docker {
    info: EngineInfo,
    program: &'static str,
    at: EngineAt,
    run: RunId,
    image: Image,
    tools: Tools,
    containers: Mutex<BTreeMap<Container, ContainerRecord>>,
    /// Set after an error of a command that may still create a container.
    in_doubt: AtomicBool,
}

/// The known facts about a container.
#[derive(Clone, Debug, Default)]
struct ContainerRecord {
    /// Whether it was created and not removed since.
    exists: bool,
    /// How it was to be run.
    options: Option<RunOptions>,
    /// Whether it is the sandbox (infra container) of a pod.
    is_sandbox: bool,
    /// Its id on the engine, if it was inspected.
    id: Option<CheckedName<Id>>,
    /// The pid of its process on the engine's host, if it was running when it was last inspected.
    pid: Option<u32>,
    /// Its namespace since its last start, if it was inspected.
    namespace: Option<Identity>,
    /// The pid and start time of its process since its last start, if that is on this machine.
    process: Option<(u32, ProcStat)>,
}

impl Docker {
    /// Creates the engine for one run, with `program` (`docker` or `podman`) as the client of `at`.
    #[must_use]
    pub fn new(
        info: EngineInfo,
        program: &'static str,
        at: EngineAt,
        image: Image,
        tools: Tools,
    ) -> Self {
        Self {
            info,
            program,
            at,
            run: RunId::random(),
            image,
            tools,
            containers: Mutex::default(),
            in_doubt: AtomicBool::new(false),
        }
    }

    fn name(&self, container: Container) -> String {
        format!("shm-{}-{container}", self.run.short())
    }

    fn invoke(&self, args: &[&str]) -> Result<Output, EngineError> {
        Ok(client(&self.at, args.iter().copied()).run(&self.tools.interrupt)?)
    }

    /// Runs a command that creates something that the ledger names.
    fn make(&self, args: &[String]) -> Result<Output, EngineError> {
        let make = client(&self.at, args.iter().map(String::as_str));
        Ok(make.recorded(&self.tools.ledger, &self.run).run(&self.tools.interrupt)?)
    }

    fn remover(&self) -> Remover<'_> {
        Remover { at: &self.at, interrupt: self.tools.interrupt.clone() }
    }

    fn run(&self, container: Container, options: RunOptions) -> Result<Observation, EngineError> {
        let name = self.name(container);
        self.with_record(container, |known| known.options = Some(options));
        if options.sharing == Sharing::Sandbox {
            return self.run_pod(container, &name);
        }
        if matches!(options.setting, Some(Setting::Memory(_))) {
            conmon_oom::expect();
        }
        let args = self.creation("run", &name, options)?;
        let (engine, run) = (self.at.clone(), self.run.clone());
        self.tools.ledger.record(Entry::Container { engine, run, name })?;
        let answer = self.make(&args).and_then(|made| {
            if made.succeeded() {
                return self.with_state(container, made.into());
            }
            self.refused(container, &Action::Run(options), made, || self.make(&args))
        });
        self.in_doubt.fetch_or(answer.is_err(), Ordering::SeqCst);
        if answer.as_ref().is_ok_and(|it| it.state != Some(State::Refused)) {
            self.with_record(container, |known| known.exists = true);
        }
        answer
    }

    /// Returns the arguments of `run` or `create` for a container.
    fn creation(
        &self,
        command: &'static str,
        name: &str,
        options: RunOptions,
    ) -> Result<Vec<String>, EngineError> {
        let [run, ledger] = self.labels()?;
        let variable = format!("{RUN_VARIABLE}={}", self.run);
        let mut args = run_options::creation(&self.info, command);
        args.extend(["--name", name, "--label", &run, "--label", &ledger, "--env", &variable]);
        args.extend(run_options::HARDENED);
        let mut chosen = run_options::sharing(options.sharing, |donor| self.name(donor));
        chosen.extend(options.setting.into_iter().flat_map(run_options::setting));
        chosen.extend(run_options::volume(self.tools.volume.as_deref()));
        args.extend(chosen.iter().map(String::as_str));
        if self.image.is_bare() {
            args.push(self.image.tag());
        } else {
            // An interactive shell ignores SIGTERM, but exits on SIGHUP.
            args.extend(["--interactive", "--tty", "--stop-signal", "SIGHUP"]);
            args.extend(["--entrypoint", "/bin/bash", self.image.tag()]);
        }
        Ok(args.into_iter().map(str::to_owned).collect())
    }

    fn labels(&self) -> Result<[String; 2], EngineError> {
        let ledger = self.tools.ledger.path()?;
        Ok([format!("{RUN_LABEL}={}", self.run), format!("{LEDGER_LABEL}={}", ledger.display())])
    }

    /// Creates a pod whose containers share their IPC namespace. Its sandbox uses our image, so
    /// nothing is pulled, and commands can run in the sandbox.
    fn run_pod(&self, sandbox: Container, name: &str) -> Result<Observation, EngineError> {
        self.with_record(sandbox, |known| known.is_sandbox = true);
        let ([run, ledger], pod) = (self.labels()?, run_options::pod(name));
        let mut args = vec!["pod", "create", "--name", &pod, "--infra-name", name];
        args.extend(["--share", "ipc", "--network", "none", "--infra-image", self.image.tag()]);
        args.extend(["--security-opt", "no-new-privileges"]);
        args.extend(["--label", &run, "--label", &ledger]);
        let (engine, run) = (self.at.clone(), self.run.clone());
        self.tools.ledger.record(Entry::Pod { engine, run, name: pod.clone() })?;
        let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
        let created = self.make(&args)?;
        if !created.succeeded() {
            return Err(failed("cannot create a pod", created).into());
        }
        let started = self.change(sandbox, &Action::Start, &["pod", "start", &pod])?;
        self.with_record(sandbox, |known| known.exists = true);
        let Observation { namespace, state, .. } = started;
        Ok(Observation { namespace, state, ..created.into() })
    }

    fn in_container(
        &self,
        container: Container,
        action: &Action,
    ) -> Result<StepOutcome, EngineError> {
        let name = self.name(container);
        let observation = match action {
            Action::Run(options) => self.run(container, *options)?,
            Action::Crash => return self.crash(container),
            action => match verb(action) {
                None => self.exec(container, action)?,
                Some(verb) if self.with_record(container, |known| known.is_sandbox) => {
                    // The command applies to the pod, which changes all its containers.
                    with(&self.containers, |all| {
                        for known in all.values_mut() {
                            (known.namespace, known.pid) = (None, None);
                        }
                    });
                    let pod = run_options::pod(&name);
                    self.change(container, action, &[&["pod"], verb, &[pod.as_str()]].concat())?
                }
                Some(verb) => self.change(container, action, &[verb, &[name.as_str()]].concat())?,
            },
        };
        // The output of a command in a container is not a message of the engine.
        let is_of_engine = matches!(action, Action::Run(_)) || verb(action).is_some();
        if is_of_engine && let FailureKind::Unsupported(line) = classify(&observation.output) {
            return Ok(StepOutcome::Skipped(format!("not supported here: {line}")));
        }
        let starts = matches!(action, Action::Run(_) | Action::Start | Action::Restart);
        if starts && observation.state == Some(State::Exited) {
            let end = self.inspect(&name)?.end();
            let what = format!("container {name} is not running after its start: {end}");
            return Err(failed(what, observation.output).into());
        }
        Ok(StepOutcome::Observed(observation))
    }

    /// Runs a command that changes a container's state or removes the container.
    fn change(
        &self,
        container: Container,
        action: &Action,
        args: &[&str],
    ) -> Result<Observation, EngineError> {
        let output = self.invoke(args)?;
        if !output.succeeded() {
            return self.refused(container, action, output, || self.invoke(args));
        }
        if *action != Action::Remove {
            return self.with_state(container, output.into());
        }
        self.with_record(container, |known| known.exists = false);
        Ok(Observation { state: Some(State::Gone), ..output.into() })
    }

    fn exec(&self, container: Container, action: &Action) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let (tool, args) = self.tools.command(action, Path::new(run_options::VOLUME))?;
        let mut command = vec!["exec", &name];
        match (action, self.image.is_bare()) {
            (Action::List, false) => command.extend(["ipcs", "-m"]),
            _ => command.push(tool),
        }
        command.extend(args.iter().map(String::as_str));
        let observed = Observation::from(self.invoke(&command)?);
        if observed.output.exit_code != Some(0) && observed.tool_error().is_empty() {
            // The engine may have failed because the container has exited.
            let (state, inspected) = self.settled(&name)?;
            if state == State::Exited {
                let what = format!("container {name} is no longer running: {}", inspected.end());
                return Err(failed(what, observed.output).into());
            }
        }
        match self.with_record(container, |known| known.namespace.clone()) {
            Some(namespace) => Ok(Observation { namespace: Some(namespace), ..observed }),
            // A command for another container started this one.
            None => Ok(Observation { state: None, ..self.with_state(container, observed)? }),
        }
    }

    fn with_record<T>(
        &self,
        container: Container,
        access: impl FnOnce(&mut ContainerRecord) -> T,
    ) -> T {
        with(&self.containers, |all| access(all.entry(container).or_default()))
    }
}

/// Returns the engine's command for an action on an existing container.
fn verb(action: &Action) -> Option<&'static [&'static str]> {
    Some(match action {
        Action::Start => &["start"],
        Action::Stop => &["stop"],
        Action::Kill => &["kill"],
        Action::Restart => &["restart"],
        Action::Pause => &["pause"],
        Action::Unpause => &["unpause"],
        Action::Remove => &["rm", "--force"],
        _ => return None,
    })
}

impl Engine for Docker {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// The containers' host is in the initial IPC namespace; this program may run in a container.
    fn is_on_this_host(&self) -> bool {
        IpcNamespace::current().is_ok_and(|namespace| namespace.is_initial())
    }

    fn unsupported_reason(&self, action: &Action) -> Option<&'static str> {
        let own_kernels = self.info.kernels == Kernels::Own;
        match action {
            _ if action.is_of_clusters() => Some(ONLY_CLUSTERS),
            Action::Run(RunOptions { sharing: Sharing::Sandbox | Sharing::Pod(_), .. })
                if self.info.name != EngineKind::Podman =>
            {
                Some("docker has no pods: containers join another container")
            }
            Action::ExhaustMemory if own_kernels => {
                Some("the memory limit applies to the sandbox's kernel, not to its processes")
            }
            Action::Write(Mechanism::Mqueue, _) if own_kernels => {
                Some("gVisor's kernel has no POSIX message queues (mq_timedsend: ENOSYS)")
            }
            _ => None,
        }
    }

    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError> {
        let observation = match step.place {
            Place::In(container) => return self.in_container(container, &step.action),
            Place::Host => match &step.action {
                Action::Build => {
                    let Tools { interrupt, ledger, .. } = &self.tools;
                    self.image.ensure(&self.at, ledger, interrupt)?.into()
                }
                Action::Processes => self.processes()?,
                _ if !self.is_on_this_host() => {
                    let why = "this program is not in the host's IPC namespace and cannot see the \
                               host's shared memory: run it on the host";
                    return Ok(StepOutcome::Skipped(why.to_owned()));
                }
                _ if self.has_foreign_kernel() => {
                    let foreign = inspect::FOREIGN_KERNEL;
                    let why = format!("{foreign}: this machine is not their host");
                    return Ok(StepOutcome::Skipped(why));
                }
                _ => self.tools.on_host(step)?,
            },
        };
        Ok(StepOutcome::Observed(observation))
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        if self.in_doubt.load(Ordering::SeqCst) {
            thread::sleep(ENGINE_SETTLES);
        }
        let remover = Remover { at: &self.at, interrupt: self.tools.interrupt.for_cleaning() };
        // The engine may still create a container later; `cargo xtask clean` needs the ledger then.
        let forget = !self.in_doubt.load(Ordering::SeqCst);
        let answer = remover.everything(&self.run, &self.tools.ledger, forget);
        conmon_oom::remove();
        answer.map_err(|cause| EngineError::Left {
            run: self.run.clone(),
            program: self.program,
            cause: Box::new(cause),
        })
    }
}
