//! Plain Linux namespaces, for a machine without an engine. `unshare` and `nsenter` of util-linux
//! create and enter them, as root or in a user namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use shm_core::IpcNamespace;

use self::process::Process;
use super::tool::Tools;
use super::{
    CommandFailure, Engine, EngineError, EngineInfo, FailureKind, ONLY_CLUSTERS, StepOutcome, kill,
    with,
};
use crate::engine::observation::{Identity, Observation, State};
use crate::process::invocation::{Invocation, Output};
use crate::process::labels::RunId;
use crate::process::poll::poll_until;
use crate::process::untrusted::Untrusted;
use crate::script::{Action, Container, Place, RunOptions, Setting, Sharing, Step};

mod process;

/// Mounts `/dev/shm` for POSIX shared memory. A size option can be appended.
const OWN_SHM: &str = "mount -t tmpfs shm /dev/shm -o mode=1777,nosuid,nodev";
/// Hides `/dev/shm` behind an empty `/dev`.
const NO_SHM: &str = "mount -t tmpfs -o mode=755,nosuid,nodev none /dev";

/// See [`Namespaces::patience`].
const PATIENCE: Duration = Duration::from_secs(10);
/// The polling interval for the start of a container, which takes a few milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The number of retries of lsns.
const LSNS_TRIES: usize = 10;

/// The engine for plain namespaces, and the containers of one run.
#[derive(Debug)]
pub struct Namespaces {
    info: EngineInfo,
    run: RunId,
    /// Whether containers get a user namespace, because this program is not root.
    user: bool,
    tools: Tools,
    defined: Mutex<BTreeMap<Container, Definition>>,
    running: Mutex<BTreeMap<Container, Process>>,
}

/// The definition of a container.
#[derive(Clone, Copy, Debug)]
struct Definition {
    options: RunOptions,
    /// The time of creation, which differs for a later container with the same name.
    at: Instant,
    /// The time of creation of the container that it joins.
    donor: Option<Instant>,
}

impl Namespaces {
    /// Creates the engine for one run; with `user`, in user namespaces.
    #[must_use]
    pub fn new(info: EngineInfo, user: bool, tools: Tools) -> Self {
        let run = RunId::random();
        Self { info, run, user, tools, defined: Mutex::default(), running: Mutex::default() }
    }

    fn run(&self, container: Container, options: RunOptions) -> Result<Observation, EngineError> {
        let made_at = |container| with(&self.defined, |all| all.get(&container).map(|it| it.at));
        if made_at(container).is_some() {
            return Ok(refused("a container with this name exists"));
        }
        let made = Definition {
            options,
            at: Instant::now(),
            donor: options.sharing.donor().and_then(made_at),
        };
        with(&self.defined, |all| all.insert(container, made));
        let started = self.start(container)?;
        if started.state == Some(State::Refused) {
            with(&self.defined, |all| all.remove(&container));
        }
        Ok(started)
    }

    fn start(&self, container: Container) -> Result<Observation, EngineError> {
        let made = with(&self.defined, |all| all.get(&container).copied());
        let Definition { options, donor, .. } =
            made.ok_or_else(|| EngineError::Script(format!("no such container: {container}")))?;
        let there = |joined| with(&self.defined, |all| all.get(&joined).map(|it| it.at)) == donor;
        let command = self.command(options).filter(|_| options.sharing.donor().is_none_or(there));
        let Some((program, args, own)) = command else {
            return Ok(refused("the container to join is not running"));
        };
        if matches!(options.setting, Some(Setting::Sysctl(..))) && !own.contains(&"--ipc") {
            return Ok(refused("a container may not set limits of the host's IPC namespace"));
        }
        let invocation =
            Invocation::new(program, args).recorded(&self.tools.ledger, &self.run).discard_stdout();
        let started = Instant::now();
        let background = invocation.start()?;
        // Stored first, so that cleanup ends the process after any later failure.
        let pid = background.pid();
        let namespace = Identity::Unknown("starting".to_owned());
        let process = Process { background, namespace, own };
        with(&self.running, |running| running.insert(container, process));
        self.wait_for_start(container, pid, &invocation.command_line(), started)?;
        let namespace = IpcNamespace::of_process(pid)
            .map_or_else(|error| Identity::Unknown(error.to_string()), Identity::Kernel);
        with(&self.running, |running| {
            if let Some(process) = running.get_mut(&container) {
                process.namespace = namespace.clone();
            }
        });
        let output = Output::success(invocation.command(), started.elapsed());
        Ok(Observation { state: Some(State::Running), namespace: Some(namespace), ..output.into() })
    }

    /// Returns the program and arguments that create a container, and the flags of the namespaces
    /// that it does not share with the host. `None` if the container to join is not running.
    fn command(
        &self,
        options: RunOptions,
    ) -> Option<(&'static str, Vec<String>, Vec<&'static str>)> {
        let (program, mut args, own) = match options.sharing {
            Sharing::Container(donor) | Sharing::Pod(donor) => {
                let own = with(&self.running, |all| all.get(&donor).map(|it| it.own.clone()))?;
                let (program, args) = self.enter(donor)?;
                (program, args, own)
            }
            Sharing::Host => self.unshare(vec![]),
            Sharing::HostShm => self.unshare(vec!["--ipc"]),
            _ => self.unshare(vec!["--ipc", "--mount"]),
        };
        let mut setup = match options.sharing {
            sharing if sharing.brings_shm() => OWN_SHM.to_owned(),
            Sharing::None => NO_SHM.to_owned(),
            _ => "true".to_owned(),
        };
        match options.setting {
            Some(Setting::ShmSize(size)) if options.sharing.brings_shm() => {
                setup = format!("{setup},size={size}");
            }
            Some(Setting::Sysctl(sysctl, value)) => {
                let file = sysctl.name().replace('.', "/");
                setup = format!("{setup} && echo {value} > /proc/sys/{file}");
            }
            _ => {}
        }
        let script = format!("{setup} && exec \"$0\" --watch");
        args.extend(["sh", "-c", &script, &self.tools.dist.tool("shm_ls")].map(str::to_owned));
        Some((program, args, own))
    }

    /// Returns the `unshare` command for these namespaces, and their flags.
    fn unshare(&self, own: Vec<&'static str>) -> (&'static str, Vec<String>, Vec<&'static str>) {
        let mut args = own.clone();
        if self.user {
            args.extend(["--user", "--map-root-user"]);
        }
        args.push("--");
        ("unshare", args.into_iter().map(str::to_owned).collect(), own)
    }

    /// Returns the program and arguments that enter a container, or `None` if it is not running.
    fn enter(&self, container: Container) -> Option<(&'static str, Vec<String>)> {
        let (pid, mut flags) = with(&self.running, |running| {
            let process = running.get(&container)?;
            Some((process.background.pid(), process.own.clone()))
        })?;
        if self.user {
            flags.extend(["--user", "--preserve-credentials"]);
        }
        if flags.is_empty() {
            // The container shares everything with this program. `nsenter` refuses to enter nothing
            // since util-linux 2.41 (sys-utils/nsenter.c).
            return Some(self.unshare(vec![])).map(|(program, args, _)| (program, args));
        }
        flags.push("--");
        let target = ["--target".to_owned(), pid.to_string()];
        let args = target.into_iter().chain(flags.into_iter().map(str::to_owned)).collect();
        Some(("nsenter", args))
    }

    /// Returns the time limit for the start and for the stop of a container.
    fn patience(&self) -> Duration {
        self.tools.interrupt.limit_or(PATIENCE)
    }

    /// Waits until a container, started at `started`, has its namespaces and mounts.
    fn wait_for_start(
        &self,
        container: Container,
        pid: u32,
        command: &Untrusted,
        started: Instant,
    ) -> Result<(), EngineError> {
        let (interrupt, limit) = (&self.tools.interrupt, self.patience());
        let watches = poll_until(LOOK_EVERY, started + limit, interrupt, || {
            if process::is_watching(pid) {
                return Ok(Some(()));
            }
            let ended = with(&self.running, |running| {
                let Some(process) = running.get(&container) else { return Ok(None) };
                process.background.wait(Duration::ZERO)
            })?;
            match ended {
                Some(output) => {
                    Err(failed(format!("container {container} did not start"), output).into())
                }
                None => Ok::<_, EngineError>(None),
            }
        })?;
        watches.ok_or_else(|| match interrupt.name() {
            Some(signal) => EngineError::Script(format!("interrupted by {signal}")),
            None => EngineError::Unexpected {
                command: command.clone(),
                answer: format!("no container after {} s", limit.as_secs()).into(),
            },
        })
    }

    /// Ends a container's process with a signal.
    fn end(&self, container: Container, signal: Signal) -> Result<Observation, EngineError> {
        let Some(process) = with(&self.running, |running| running.remove(&container)) else {
            return Err(not_running(container));
        };
        let (pid, asked) = (process.background.pid(), Instant::now());
        let output = process.end(signal, self.patience())?;
        let name = if signal == Signal::KILL { "KILL" } else { "TERM" };
        // The exit status and the duration are those of `kill`, not those of the ended process.
        let output = Output {
            stdout: output.stdout,
            stderr: output.stderr,
            ..kill(name, pid, asked.elapsed())
        };
        Ok(Observation { state: Some(State::Exited), ..output.into() })
    }

    /// Stops a container's process, or continues it.
    fn pause(&self, container: Container, pause: bool) -> Result<Observation, EngineError> {
        let (name, signal, state) = if pause {
            ("STOP", Signal::STOP, State::Paused)
        } else {
            ("CONT", Signal::CONT, State::Running)
        };
        let asked = Instant::now();
        let (pid, namespace) = with(&self.running, |running| {
            let Some(process) = running.get(&container) else {
                return Err(not_running(container));
            };
            process.background.signal(signal)?;
            Ok((process.background.pid(), process.namespace.clone()))
        })?;
        let output = kill(name, pid, asked.elapsed());
        let namespace = (!pause).then_some(namespace);
        Ok(Observation { state: Some(state), namespace, ..output.into() })
    }

    fn restart(&self, container: Container) -> Result<Observation, EngineError> {
        let ended = self.stop(container, Signal::TERM)?;
        let started = self.start(container)?;
        let duration = ended.output.duration + started.output.duration;
        let output = Output { duration, ..started.output };
        Ok(Observation { output, ..started })
    }

    /// Ends a container's process with a signal, if it is running.
    fn stop(&self, container: Container, signal: Signal) -> Result<Observation, EngineError> {
        if with(&self.running, |running| running.contains_key(&container)) {
            return self.end(container, signal);
        }
        let output = Output::success(vec![], Duration::ZERO);
        Ok(Observation { state: Some(State::Exited), ..output.into() })
    }

    fn remove(&self, container: Container) -> Result<Observation, EngineError> {
        let stopped = self.stop(container, Signal::KILL)?;
        with(&self.defined, |all| all.remove(&container));
        Ok(Observation { state: Some(State::Gone), ..stopped })
    }

    fn exec(&self, container: Container, action: &Action) -> Result<Observation, EngineError> {
        let (tool, args) = self.tools.command(action, self.tools.volume_on_host())?;
        let (program, mut command) = self.enter(container).ok_or_else(|| not_running(container))?;
        command.push(self.tools.dist.tool(tool));
        command.extend(args);
        let invocation = self.tools.recorded(action, Invocation::new(program, command));
        let output = invocation.run(&self.tools.interrupt)?;
        let namespace =
            with(&self.running, |running| Some(running.get(&container)?.namespace.clone()));
        Ok(Observation { namespace, ..output.into() })
    }

    /// Lists the containers whose processes `lsns` finds in an IPC namespace.
    fn processes(&self) -> Result<Observation, EngineError> {
        let args = ["--type", "ipc", "--noheadings", "--output", "PID,NS,COMMAND"];
        let list = || Invocation::new("lsns", args).run(&self.tools.interrupt);
        let mut output = list()?;
        // lsns fails if a process ends while lsns reads its files, as happens on a busy host.
        for _ in 0..LSNS_TRIES {
            if output.succeeded() {
                break;
            }
            output = list()?;
        }
        if !output.succeeded() {
            return Err(failed("cannot list the namespaces", output).into());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pid = |line: &str| line.split_ascii_whitespace().next()?.parse::<u32>().ok();
        let pids: BTreeSet<u32> = text.lines().filter_map(pid).collect();
        let names: BTreeMap<u32, Container> = with(&self.running, |running| {
            let lives = |process: &Process| pids.contains(&process.background.pid());
            let living = running.iter().filter(|(_, process)| lives(process));
            living.map(|(container, process)| (process.background.pid(), *container)).collect()
        });
        let ours = text.lines().filter(|line| pid(line).is_some_and(|it| names.contains_key(&it)));
        output.stdout = ours.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes();
        Ok(Observation { running: Some(names.into_values().collect()), ..output.into() })
    }
}

/// Returns the error for a failed command, classified by the kernel's errors.
fn failed(what: impl Into<String>, output: Output) -> CommandFailure {
    CommandFailure::new(what, FailureKind::of(&output), output)
}

fn not_running(container: Container) -> EngineError {
    EngineError::Script(format!("container {container} is not running"))
}

fn refused(why: &str) -> Observation {
    let output = Output { stderr: why.as_bytes().to_vec(), ..Output::default() };
    Observation { state: Some(State::Refused), ..output.into() }
}

impl Engine for Namespaces {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn unsupported_reason(&self, action: &Action) -> Option<&'static str> {
        let Action::Run(RunOptions { sharing, setting }) = action else {
            return action.is_of_clusters().then_some(ONLY_CLUSTERS);
        };
        match (sharing, setting) {
            (Sharing::Sandbox | Sharing::Pod(_), _) => {
                Some("plain namespaces have no pods: containers join another container")
            }
            (_, Some(Setting::Memory(_))) => Some("plain namespaces have no memory limit"),
            (_, Some(Setting::RestartPolicy)) => Some("plain namespaces have no restart policy"),
            _ => None,
        }
    }

    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError> {
        let observation = match (&step.action, step.place) {
            (Action::Build, _) => {
                let why = "plain namespaces have no images: containers use the host's files";
                return Ok(StepOutcome::Skipped(why.to_owned()));
            }
            (Action::Processes, _) => self.processes()?,
            (_, Place::Host) => self.tools.on_host(step)?,
            (Action::Run(options), Place::In(container)) => self.run(container, *options)?,
            (Action::Start, Place::In(container)) => self.start(container)?,
            (Action::Stop, Place::In(container)) => self.stop(container, Signal::TERM)?,
            (Action::Kill, Place::In(container)) => self.end(container, Signal::KILL)?,
            (Action::Restart, Place::In(container)) => self.restart(container)?,
            (Action::Pause, Place::In(container)) => self.pause(container, true)?,
            (Action::Unpause, Place::In(container)) => self.pause(container, false)?,
            (Action::Remove, Place::In(container)) => self.remove(container)?,
            (action, Place::In(container)) => self.exec(container, action)?,
        };
        Ok(StepOutcome::Observed(observation))
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        let processes = with(&self.running, std::mem::take);
        // SIGKILL, because a process that hangs in its start may ignore SIGTERM. A failure must
        // not keep other processes running.
        let end = |process: &Process| process.end(Signal::KILL, self.patience());
        let ended: Vec<_> = processes.values().map(end).collect();
        Ok(ended.into_iter().collect::<Result<Vec<_>, _>>()?.len())
    }
}
