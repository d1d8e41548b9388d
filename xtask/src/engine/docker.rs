//! Docker and Podman, through their command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shm_core::IpcNamespace;

use self::inspect::Looked;
use super::image::Image;
use super::tool::Tools;
use super::{Answer, Engine, EngineError, EngineInfo, EngineKind, Kernels};
use crate::invocation::{Invocation, Transcript};
use crate::ledger::{OWNER_LABEL, Owner, RUN_LABEL, RUN_VARIABLE, RunId};
use crate::observation::{Identity, Observation, State};
use crate::script::{Action, Container, Launch, Mechanism, Place, Sharing, Step};

mod inability;
pub(super) mod inspect;
mod launch;
pub(super) mod probe;
mod remove;

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
    run: RunId,
    image: Image,
    tools: Tools,
    /// Those that were made.
    containers: Mutex<BTreeMap<Container, Known>>,
    /// Set before the first container is made.
    used: AtomicBool,
    /// Set before the first pod is made.
    used_pods: AtomicBool,
    /// Set where a command was given up on that may still make a container.
    in_doubt: AtomicBool,
}

/// What is known of a container.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Whether it was made, and not removed since.
    exists: bool,
    /// Whether it is the sandbox of a pod.
    is_sandbox: bool,
    /// Its namespace since its last start, where that was looked at.
    namespace: Option<Identity>,
}

impl Docker {
    /// For one run, with `program` (`docker` or `podman`).
    #[must_use]
    pub fn new(info: EngineInfo, program: &'static str, image: Image, tools: Tools) -> Self {
        Self {
            info,
            program,
            run: RunId::random(),
            image,
            tools,
            containers: Mutex::default(),
            used: AtomicBool::new(false),
            used_pods: AtomicBool::new(false),
            in_doubt: AtomicBool::new(false),
        }
    }

    fn name(&self, container: Container) -> String {
        format!("shm-{}-{container}", self.run)
    }

    fn invoke(&self, args: &[&str]) -> Result<Transcript, EngineError> {
        let args = args.iter().copied();
        Ok(Invocation::new(self.program, args).run(&self.tools.interrupt)?)
    }

    /// Runs a command that changes what a container is, and looks what it is then.
    fn change(&self, container: Container, args: &[&str]) -> Result<Observation, EngineError> {
        let transcript = self.invoke(args)?;
        if !transcript.succeeded() {
            return Ok(Observation { state: Some(State::Refused), ..transcript.into() });
        }
        self.look(container, transcript.into())
    }

    /// Adds to the observation of a change what the container is after it.
    fn look(&self, container: Container, changed: Observation) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let (state, looked) = self.settled(&name)?;
        if state != State::Running {
            return Ok(Observation { state: Some(state), ..changed });
        }
        let namespace = self.identify(&name, &looked);
        self.know(container, |known| known.namespace = Some(namespace.clone()));
        Ok(Observation { namespace: Some(namespace), state: Some(state), ..changed })
    }

    fn run(&self, container: Container, launch: Launch) -> Result<Observation, EngineError> {
        self.used.store(true, Ordering::SeqCst);
        let name = self.name(container);
        if launch.sharing == Sharing::Sandbox {
            return self.run_pod(container, &name);
        }
        let [run, owner] = self.labels();
        let variable = format!("{RUN_VARIABLE}={}", self.run);
        let mut args = launch::runtime(&self.info);
        args.extend(["--detach", "--name", &name, "--label", &run, "--label", &owner]);
        args.extend(["--env", &variable]);
        args.extend(launch::HARDENED);
        let mut chosen = launch::sharing(launch.sharing, |donor| self.name(donor));
        chosen.extend(launch.setting.into_iter().flat_map(launch::setting));
        chosen.extend(launch::volume(self.tools.volume.as_deref()));
        args.extend(chosen.iter().map(String::as_str));
        if self.image.is_bare() {
            args.push(self.image.tag());
        } else {
            // An interactive shell ignores SIGTERM; it ends on SIGHUP, as when a terminal closes.
            args.extend(["--interactive", "--tty", "--stop-signal", "SIGHUP"]);
            args.extend(["--entrypoint", "/bin/bash", self.image.tag()]);
        }
        let answer = self.change(container, &args);
        self.in_doubt.fetch_or(answer.is_err(), Ordering::SeqCst);
        if answer.as_ref().is_ok_and(|it| it.state != Some(State::Refused)) {
            self.know(container, |known| known.exists = true);
        } else if answer.is_ok() && !self.know(container, |known| known.exists) {
            // Docker leaves a container that it made and could not start.
            self.invoke(&["rm", "--force", &name])?;
        }
        answer
    }

    fn labels(&self) -> [String; 2] {
        [format!("{RUN_LABEL}={}", self.run), format!("{OWNER_LABEL}={}", Owner::current())]
    }

    /// Makes a pod whose containers share their IPC namespace. Its sandbox is a container of our
    /// image, so that nothing is pulled, and can be looked into as any other.
    fn run_pod(&self, sandbox: Container, name: &str) -> Result<Observation, EngineError> {
        self.used_pods.store(true, Ordering::SeqCst);
        self.know(sandbox, |known| known.is_sandbox = true);
        let ([run, owner], pod) = (self.labels(), launch::pod(name));
        let mut args = vec!["pod", "create", "--name", &pod, "--infra-name", name];
        args.extend(["--share", "ipc", "--network", "none", "--infra-image", self.image.tag()]);
        args.extend(["--label", &run, "--label", &owner]);
        let created = self.invoke(&args)?;
        if !created.succeeded() {
            return Ok(Observation { state: Some(State::Refused), ..created.into() });
        }
        let started = self.change(sandbox, &["pod", "start", &pod])?;
        let Observation { namespace, state, .. } = started;
        Ok(Observation { namespace, state, ..created.into() })
    }

    fn in_container(&self, container: Container, action: &Action) -> Result<Answer, EngineError> {
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
                    let pod = launch::pod(&name);
                    self.carry_through(container, &[&["pod"], verb, &[pod.as_str()]].concat())?
                }
                Some(verb) => self.carry_through(container, &[verb, &[name.as_str()]].concat())?,
            },
        };
        Ok(inability::of(&observation).map_or(Answer::Observed(observation), Answer::Skipped))
    }

    /// Runs a command that changes what a container is, or whether it is.
    fn carry_through(
        &self,
        container: Container,
        args: &[&str],
    ) -> Result<Observation, EngineError> {
        if !args.contains(&"rm") {
            return self.change(container, args);
        }
        let transcript = self.invoke(args)?;
        let state = if transcript.succeeded() { State::Gone } else { State::Refused };
        self.know(container, |known| known.exists &= state != State::Gone);
        Ok(Observation { state: Some(state), ..transcript.into() })
    }

    /// Kills the container's process behind the engine's back, and waits until another one runs.
    fn crash(&self, container: Container) -> Result<Answer, EngineError> {
        let name = self.name(container);
        let before = self.inspect(&name)?;
        let process = i32::try_from(before.pid).ok().and_then(Pid::from_raw);
        let Some(process) = process.filter(|_| before.is_here(&self.run)) else {
            let why = "the container's process is not one that this program may look at: run it \
                       on the container's host, as root";
            return Ok(Answer::Skipped(why.to_owned()));
        };
        if let Err(error) = kill_process(process, Signal::KILL) {
            return Ok(Answer::Skipped(format!("the container's process was not killed: {error}")));
        }
        let killed = Instant::now();
        while killed.elapsed() < PATIENCE {
            let now = self.inspect(&name)?;
            if now.state == Some(State::Running) && now.pid != before.pid {
                break;
            }
            thread::sleep(LOOK_EVERY);
        }
        let observed = Observation {
            command: ["kill", "-s", "KILL", &before.pid.to_string()].map(str::to_owned).to_vec(),
            exit_code: Some(0),
            duration: killed.elapsed(),
            ..Observation::default()
        };
        Ok(Answer::Observed(self.look(container, observed)?))
    }

    fn inspect(&self, name: &str) -> Result<Looked, EngineError> {
        inspect::read(&self.invoke(&["inspect", "--format", inspect::FORMAT, name])?)
    }

    /// A container once it is no longer between two states.
    fn settled(&self, name: &str) -> Result<(State, Looked), EngineError> {
        let started = Instant::now();
        loop {
            let looked = self.inspect(name)?;
            match looked.state {
                Some(state) => return Ok((state, looked)),
                None if started.elapsed() > PATIENCE => {
                    let what = format!("container {name} does not settle");
                    return Err(EngineError::Script(what));
                }
                None => thread::sleep(LOOK_EVERY),
            }
        }
    }

    /// The namespace of a container that runs: by its process, or else by its own word.
    fn identify(&self, name: &str, looked: &Looked) -> Identity {
        if self.info.kernels == Kernels::Own {
            return Identity::Unknown("it is that of the sandbox's own kernel".to_owned());
        }
        if looked.is_here(&self.run)
            && let Ok(namespace) = IpcNamespace::of_process(looked.pid)
        {
            return Identity::Kernel(namespace);
        }
        match self.invoke(&["exec", name, "shm_ls", "--json"]) {
            Ok(transcript) => inspect::reported(&transcript.stdout),
            Err(_) => Identity::Unknown("the container does not answer".to_owned()),
        }
    }

    fn processes(&self) -> Result<Observation, EngineError> {
        let filter = format!("label={RUN_LABEL}={}", self.run);
        let args = ["ps", "--filter", &filter, "--format", "{{.Names}}\t{{.Status}}"];
        let transcript = self.invoke(&args)?;
        let text = transcript.text();
        let names: BTreeSet<_> = text.lines().filter_map(|line| line.split('\t').next()).collect();
        let running = self.with_containers(|containers| {
            let runs = |container: &Container| names.contains(self.name(*container).as_str());
            containers.keys().copied().filter(runs).collect()
        });
        Ok(Observation { running: Some(running), ..transcript.into() })
    }

    fn exec(&self, container: Container, action: &Action) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let (tool, args) = self.tools.command(action, Path::new(launch::VOLUME))?;
        let mut command = vec!["exec", &name];
        match (action, self.image.is_bare()) {
            (Action::List, false) => command.extend(["ipcs", "-m"]),
            _ => command.push(tool),
        }
        command.extend(args.iter().map(String::as_str));
        let transcript = self.invoke(&command)?;
        let observed = Observation::from(transcript);
        match self.know(container, |known| known.namespace.clone()) {
            Some(namespace) => Ok(Observation { namespace: Some(namespace), ..observed }),
            // It was started by something that happened to another one.
            None => Ok(Observation { state: None, ..self.look(container, observed)? }),
        }
    }

    fn with_containers<T>(&self, access: impl FnOnce(&mut BTreeMap<Container, Known>) -> T) -> T {
        // A map stays whole whatever panicked while it was locked.
        access(&mut self.containers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn know<T>(&self, container: Container, access: impl FnOnce(&mut Known) -> T) -> T {
        self.with_containers(|all| access(all.entry(container).or_default()))
    }

    /// Whether the containers turned out to run under another kernel than this program.
    fn is_elsewhere(&self) -> bool {
        let elsewhere = Some(Identity::Unknown(inspect::ELSEWHERE.to_owned()));
        self.with_containers(|all| all.values().any(|known| known.namespace == elsewhere))
    }
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

    fn lacks(&self, action: &Action) -> Option<&'static str> {
        let own_kernels = self.info.kernels == Kernels::Own;
        match action {
            Action::Run(Launch { sharing: Sharing::Sandbox | Sharing::Pod(_), .. })
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

    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError> {
        let observation = match step.place {
            Place::In(container) => return self.in_container(container, &step.action),
            Place::Host => match &step.action {
                Action::Build => self.image.ensure(self.program, &self.tools.interrupt)?.into(),
                Action::Processes => self.processes()?,
                _ if !self.is_on_this_host() => {
                    let why = "this program is not in the host's IPC namespace itself, so it does \
                               not see what the host sees: run it on the host";
                    return Ok(Answer::Skipped(why.to_owned()));
                }
                _ if self.is_elsewhere() => {
                    return Ok(Answer::Skipped(format!(
                        "{}: this is not their host",
                        inspect::ELSEWHERE
                    )));
                }
                action => self.tools.on_host(action)?,
            },
        };
        Ok(Answer::Observed(observation))
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        if !self.used.load(Ordering::SeqCst) {
            return Ok(0);
        }
        if self.in_doubt.load(Ordering::SeqCst) {
            // The engine may go on with what a client asked for that is gone.
            thread::sleep(ENGINE_SETTLES);
        }
        remove::everything(self.program, &self.run, self.used_pods.load(Ordering::SeqCst))
    }
}
