//! Docker and Podman, through their command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use shm_core::IpcNamespace;

use self::client::{client, failed};
use self::failure::classify;
use self::remove::{Kind, Remover};
use super::image::Image;
use super::tool::Tools;
use super::{
    Engine, EngineError, EngineInfo, EngineKind, FailureKind, Kernels, ONLY_CLUSTERS, StepOutcome,
};
use crate::engine::observation::{Identity, Observation, State};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::Output;
use crate::process::labels::{LEDGER_LABEL, RUN_LABEL, RUN_VARIABLE, RunId};
use crate::process::ledger::{EngineAt, Entry};
use crate::process::proc_stat::ProcStat;
use crate::script::{Action, Container, Mechanism, Place, RunOptions, Setting, Sharing, Step};

pub(crate) mod client;
mod conmon_oom;
mod crash;
pub(super) mod failure;
pub(super) mod inspect;
pub(crate) mod probe;
pub(crate) mod remove;
pub(crate) mod run_options;
mod state;

/// How long an engine may go on with what a client asked for that is gone.
pub const ENGINE_SETTLES: Duration = Duration::from_secs(1);

/// How long a container may be between two states, and how often to look.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// An engine with Docker's command line, and what one run has on it.
#[derive(Debug)]
pub struct Docker {
    info: EngineInfo,
    program: &'static str,
    /// The engine that it talks to.
    at: EngineAt,
    run: RunId,
    image: Image,
    tools: Tools,
    /// Those that were made.
    containers: Mutex<BTreeMap<Container, ContainerRecord>>,
    /// Set where a command was given up on that may still make a container.
    in_doubt: AtomicBool,
}

/// What is known of a container.
#[derive(Clone, Debug, Default)]
struct ContainerRecord {
    /// Whether it was made, and not removed since.
    exists: bool,
    /// Whether it is the sandbox of a pod.
    is_sandbox: bool,
    /// Its namespace since its last start, where that was looked at.
    namespace: Option<Identity>,
    /// Its process since its last start, where that is on this machine, with its start.
    process: Option<(u32, ProcStat)>,
}

impl Docker {
    /// For one run, with `program` (`docker` or `podman`), which talks to the engine `at`.
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

    /// Runs a command that makes something, which is written down first.
    fn make(&self, entry: Entry, args: &[&str]) -> Result<Output, EngineError> {
        self.tools.ledger.record(entry)?;
        let make = client(&self.at, args.iter().copied());
        Ok(make.recorded(&self.tools.ledger, &self.run).run(&self.tools.interrupt)?)
    }

    /// Runs a command that changes what a container is, and looks what it is then.
    fn change(&self, container: Container, args: &[&str]) -> Result<Observation, EngineError> {
        self.changed(container, self.invoke(args)?)
    }

    /// Looks what a container is after a command that changed it.
    fn changed(&self, container: Container, output: Output) -> Result<Observation, EngineError> {
        if !output.succeeded() {
            return self.refused(output);
        }
        self.look(container, output.into())
    }

    /// What a command that failed shows: that the engine refuses what it was asked for, if that is
    /// what it says.
    fn refused(&self, output: Output) -> Result<Observation, EngineError> {
        let failure = failed(format!("{} refused", self.info.name), output);
        match failure.kind {
            FailureKind::Rejected | FailureKind::Unsupported(_) => {
                Ok(Observation { state: Some(State::Refused), ..failure.output.into() })
            }
            _ => Err(failure.into()),
        }
    }

    fn run(&self, container: Container, launch: RunOptions) -> Result<Observation, EngineError> {
        let name = self.name(container);
        if launch.sharing == Sharing::Sandbox {
            return self.run_pod(container, &name);
        }
        if matches!(launch.setting, Some(Setting::Memory(_))) {
            conmon_oom::expect();
        }
        let [run, ledger] = self.labels()?;
        let variable = format!("{RUN_VARIABLE}={}", self.run);
        let mut args = run_options::runtime(&self.info);
        args.extend(["--detach", "--name", &name, "--label", &run, "--label", &ledger]);
        args.extend(["--env", &variable]);
        args.extend(run_options::HARDENED);
        let mut chosen = run_options::sharing(launch.sharing, |donor| self.name(donor));
        chosen.extend(launch.setting.into_iter().flat_map(run_options::setting));
        chosen.extend(run_options::volume(self.tools.volume.as_deref()));
        args.extend(chosen.iter().map(String::as_str));
        if self.image.is_bare() {
            args.push(self.image.tag());
        } else {
            // An interactive shell ignores SIGTERM; it ends on SIGHUP, as when a terminal closes.
            args.extend(["--interactive", "--tty", "--stop-signal", "SIGHUP"]);
            args.extend(["--entrypoint", "/bin/bash", self.image.tag()]);
        }
        let entry =
            Entry::Container { engine: self.at.clone(), run: self.run.clone(), name: name.clone() };
        let made = self.make(entry, &args);
        let answer = made.and_then(|made| self.changed(container, made));
        self.in_doubt.fetch_or(answer.is_err(), Ordering::SeqCst);
        if answer.as_ref().is_ok_and(|it| it.state != Some(State::Refused)) {
            self.know(container, |known| known.exists = true);
        } else if answer.is_ok() && !self.know(container, |known| known.exists) {
            // What docker leaves of a container that it made and could not start.
            self.remover(self.tools.interrupt.clone()).named(
                Kind::Container,
                &self.run,
                &[&name],
            )?;
        }
        answer
    }

    fn labels(&self) -> Result<[String; 2], EngineError> {
        let ledger = self.tools.ledger.path()?;
        Ok([format!("{RUN_LABEL}={}", self.run), format!("{LEDGER_LABEL}={}", ledger.display())])
    }

    fn remover(&self, interrupt: Interrupt) -> Remover<'_> {
        Remover { at: &self.at, interrupt }
    }

    /// Makes a pod whose containers share their IPC namespace. Its sandbox is a container of our
    /// image, so that nothing is pulled, and can be looked into as any other.
    fn run_pod(&self, sandbox: Container, name: &str) -> Result<Observation, EngineError> {
        self.know(sandbox, |known| known.is_sandbox = true);
        let ([run, ledger], pod) = (self.labels()?, run_options::pod(name));
        let mut args = vec!["pod", "create", "--name", &pod, "--infra-name", name];
        args.extend(["--share", "ipc", "--network", "none", "--infra-image", self.image.tag()]);
        args.extend(["--security-opt", "no-new-privileges"]);
        args.extend(["--label", &run, "--label", &ledger]);
        let (engine, run) = (self.at.clone(), self.run.clone());
        let created = self.make(Entry::Pod { engine, run, name: pod.clone() }, &args)?;
        if !created.succeeded() {
            return self.refused(created);
        }
        let started = self.change(sandbox, &["pod", "start", &pod])?;
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
            Action::Run(launch) => self.run(container, *launch)?,
            Action::Crash => return self.crash(container),
            action => match verb(action) {
                None => self.exec(container, action)?,
                Some(verb) if self.know(container, |known| known.is_sandbox) => {
                    // What happens to the sandbox happens to all containers of the pod.
                    self.with_containers(|all| {
                        for known in all.values_mut() {
                            known.namespace = None;
                        }
                    });
                    let pod = run_options::pod(&name);
                    self.carry_through(
                        container,
                        action,
                        &[&["pod"], verb, &[pod.as_str()]].concat(),
                    )?
                }
                Some(verb) => {
                    self.carry_through(container, action, &[verb, &[name.as_str()]].concat())?
                }
            },
        };
        // What a command in a container prints is not the engine's word.
        if is_of_engine(action)
            && let FailureKind::Unsupported(line) = classify(&observation.output)
        {
            return Ok(StepOutcome::Skipped(format!("it cannot be done here: {line}")));
        }
        let starts = matches!(action, Action::Run(_) | Action::Start | Action::Restart);
        if starts && observation.state == Some(State::Exited) {
            let end = self.inspect(&name)?.end();
            let what = format!("container {name} does not run after its start: {end}");
            return Err(failed(what, observation.output).into());
        }
        Ok(StepOutcome::Observed(observation))
    }

    /// Runs a command that changes what a container is, or whether it is.
    fn carry_through(
        &self,
        container: Container,
        action: &Action,
        args: &[&str],
    ) -> Result<Observation, EngineError> {
        if *action != Action::Remove {
            return self.change(container, args);
        }
        let output = self.invoke(args)?;
        if !output.succeeded() {
            return self.refused(output);
        }
        self.know(container, |known| known.exists = false);
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
            // It may be the engine that failed, because there is nothing to run the tool in.
            let (state, looked) = self.settled(&name)?;
            if state == State::Exited {
                let what = format!("container {name} no longer runs: {}", looked.end());
                return Err(failed(what, observed.output).into());
            }
        }
        match self.know(container, |known| known.namespace.clone()) {
            Some(namespace) => Ok(Observation { namespace: Some(namespace), ..observed }),
            // It was started by something that happened to another one.
            None => Ok(Observation { state: None, ..self.look(container, observed)? }),
        }
    }

    fn with_containers<T>(
        &self,
        access: impl FnOnce(&mut BTreeMap<Container, ContainerRecord>) -> T,
    ) -> T {
        // A map stays whole whatever panicked while it was locked.
        access(&mut self.containers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn know<T>(&self, container: Container, access: impl FnOnce(&mut ContainerRecord) -> T) -> T {
        self.with_containers(|all| access(all.entry(container).or_default()))
    }
}

/// Whether the engine itself does it, and not a command in a container.
fn is_of_engine(action: &Action) -> bool {
    matches!(action, Action::Run(_)) || verb(action).is_some()
}

/// The engine's command for a change of a container that exists.
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
                Some("docker has no pods: what shares there joins a container")
            }
            Action::ExhaustMemory if own_kernels => {
                Some("the limit is on the sandbox with its kernel, not on the processes in it")
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
                    let why = "this program is not in the host's IPC namespace itself, so it does \
                               not see what the host sees: run it on the host";
                    return Ok(StepOutcome::Skipped(why.to_owned()));
                }
                _ if self.is_elsewhere() => {
                    return Ok(StepOutcome::Skipped(format!(
                        "{}: this is not their host",
                        inspect::ELSEWHERE
                    )));
                }
                _ => self.tools.on_host(step)?,
            },
        };
        Ok(StepOutcome::Observed(observation))
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        if self.in_doubt.load(Ordering::SeqCst) {
            // The engine may go on with what a client asked for that is gone.
            thread::sleep(ENGINE_SETTLES);
        }
        let remover = self.remover(self.tools.interrupt.for_cleaning());
        // What is made later, `cargo xtask clean` finds by the ledger.
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
