//! Plain Linux namespaces, for a machine without an engine: `unshare` makes what an engine would,
//! `nsenter` goes in, both from util-linux; as root, or as anybody with a user namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use shm_core::{IpcNamespace, Key};

use super::{Answer, Engine, EngineError, EngineInfo, tool};
use crate::dist::Dist;
use crate::interrupt::Interrupt;
use crate::invocation::{Background, Invocation, Transcript};
use crate::ledger::{OWNER_VARIABLE, Owner};
use crate::observation::{Identity, Observation, State};
use crate::script::{Action, Container, Place, Step};

/// Mounts what POSIX shared memory needs and becomes the container's process, `$0`.
const CONTAINER: &str =
    "mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm && exec \"$0\" --watch";

/// How long a container may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Namespaces made by hand, and what one run has of them.
#[derive(Debug)]
pub struct Namespaces {
    info: EngineInfo,
    /// Whether a user namespace stands in for root.
    user: bool,
    dist: Dist,
    key: Key,
    interrupt: Interrupt,
    running: Mutex<BTreeMap<Container, Process>>,
}

/// A container's process, and the namespace that it brought.
#[derive(Debug)]
struct Process {
    background: Background,
    namespace: Identity,
}

impl Namespaces {
    /// For one run; with `user`, in user namespaces.
    #[must_use]
    pub fn new(info: EngineInfo, user: bool, dist: Dist, key: Key, interrupt: Interrupt) -> Self {
        Self { info, user, dist, key, interrupt, running: Mutex::default() }
    }

    fn start(&self, container: Container) -> Result<Observation, EngineError> {
        let mut args = vec!["--ipc", "--mount", "--propagation", "private"];
        if self.user {
            args.extend(["--user", "--map-root-user"]);
        }
        let watch = self.dist.tool("shm_ls");
        args.extend(["--", "sh", "-c", CONTAINER, &watch]);
        let invocation =
            Invocation::new("unshare", args).env(OWNER_VARIABLE, Owner::current().to_string());
        let started = Instant::now();
        let background = invocation.start()?;
        // On the ledger first: whatever happens from here on, it is ended with the run.
        let pid = background.pid();
        let process = Process { background, namespace: Identity::Unknown("starting".to_owned()) };
        self.with_running(|running| running.insert(container, process));
        while !is_watching(pid) {
            self.still_starting(container, started)?;
        }
        let namespace = IpcNamespace::of_process(pid)
            .map_or_else(|error| Identity::Unknown(error.to_string()), Identity::Kernel);
        self.with_running(|running| {
            if let Some(process) = running.get_mut(&container) {
                process.namespace = namespace.clone();
            }
        });
        Ok(Observation {
            command: invocation.command(),
            exit_code: Some(0),
            duration: started.elapsed(),
            state: Some(State::Running),
            namespace: Some(namespace),
            ..Observation::default()
        })
    }

    /// Waits a moment for a container that has not started yet.
    fn still_starting(&self, container: Container, started: Instant) -> Result<(), EngineError> {
        let ended = self.with_running(|running| {
            let Some(process) = running.get(&container) else { return Ok(None) };
            let output = process.background.wait(Duration::from_millis(1))?;
            Ok::<_, EngineError>(output.map(|output| process.background.transcript(output)))
        })?;
        let what = format!("container {container} did not start");
        match ended {
            Some(transcript) => Err(EngineError::Refused { what, transcript }),
            None if started.elapsed() > PATIENCE => Err(EngineError::Script(what)),
            None => Ok(()),
        }
    }

    fn stop(&self, container: Container) -> Result<Observation, EngineError> {
        let Some(process) = self.with_running(|running| running.remove(&container)) else {
            return Err(EngineError::Script(format!("container {container} does not run")));
        };
        let pid = process.background.pid();
        let transcript = end(&process.background)?;
        Ok(Observation {
            command: vec!["kill".to_owned(), pid.to_string()],
            state: Some(State::Exited),
            ..transcript.into()
        })
    }

    fn exec(&self, container: Container, action: &Action) -> Result<Observation, EngineError> {
        let Some((tool, args)) = tool::command(action, self.key) else {
            return Err(EngineError::Script(format!("{action:?} is nothing to do in a container")));
        };
        let (pid, namespace) = self
            .with_running(|running| {
                let process = running.get(&container)?;
                Some((process.background.pid(), process.namespace.clone()))
            })
            .ok_or_else(|| EngineError::Script(format!("container {container} does not run")))?;
        let mut command = vec!["--target".to_owned(), pid.to_string()];
        command.extend(["--ipc", "--mount"].map(str::to_owned));
        if self.user {
            command.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        command.extend(["--".to_owned(), self.dist.tool(tool)]);
        command.extend(args);
        let transcript = Invocation::new("nsenter", command).run(&self.interrupt)?;
        Ok(Observation { namespace: Some(namespace), ..transcript.into() })
    }

    /// Asks the kernel, through lsns, which of the containers' processes have a namespace.
    fn processes(&self) -> Result<Observation, EngineError> {
        let args = ["--type", "ipc", "--noheadings", "--output", "PID,NS,COMMAND"];
        let transcript = Invocation::new("lsns", args).run(&self.interrupt)?;
        if !transcript.succeeded() {
            let what = "the namespaces could not be listed".to_owned();
            return Err(EngineError::Refused { what, transcript });
        }
        let text = transcript.text();
        let pids: BTreeSet<u32> = text
            .lines()
            .filter_map(|line| line.split_ascii_whitespace().next()?.parse().ok())
            .collect();
        let names = self.with_running(|running| {
            let lives = |process: &Process| pids.contains(&process.background.pid());
            let living = running.iter().filter(|(_, process)| lives(process));
            living.map(|(container, process)| (process.background.pid(), *container)).collect()
        });
        Ok(Observation {
            stdout: only_ours(&text, &names).into_bytes(),
            running: Some(names.into_values().collect()),
            ..transcript.into()
        })
    }

    fn with_running<T>(&self, access: impl FnOnce(&mut BTreeMap<Container, Process>) -> T) -> T {
        // A map stays whole whatever panicked while it was locked.
        access(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The lines of lsns about our containers; the machine may have many others.
fn only_ours(listing: &str, names: &BTreeMap<u32, Container>) -> String {
    let ours = |line: &&str| {
        let pid = line.split_ascii_whitespace().next().and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid: u32| names.contains_key(&pid))
    };
    listing.lines().filter(ours).flat_map(|line| [line, "\n"]).collect()
}

/// Whether a process has become the container's own: its namespaces and mounts are made by then.
fn is_watching(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "shm_ls")
}

/// Ends a container's process as engines do: it is asked to, and killed where it does not listen.
fn end(background: &Background) -> Result<Transcript, EngineError> {
    background.signal(Signal::TERM)?;
    if background.wait(PATIENCE)?.is_none() {
        background.kill()?;
    }
    match background.wait(Duration::ZERO)? {
        Some(output) => Ok(background.transcript(output)),
        None => Err(EngineError::Script(format!("process {} cannot be killed", background.pid()))),
    }
}

impl Engine for Namespaces {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError> {
        let observation = match (&step.action, step.place) {
            // There are no images: the containers see the host's files, the tools among them.
            (Action::Build, _) => Observation { exit_code: Some(0), ..Observation::default() },
            (Action::Processes, _) => self.processes()?,
            (Action::Start, Place::In(container)) => self.start(container)?,
            (Action::Stop, Place::In(container)) => self.stop(container)?,
            (action, Place::In(container)) => self.exec(container, action)?,
            (action, Place::Host) => tool::on_host(&self.dist, action, self.key, &self.interrupt)?
                .ok_or_else(|| EngineError::Script(format!("{action:?} on the host")))?,
        };
        Ok(Answer::Observed(observation))
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        let processes = self.with_running(std::mem::take);
        // All are asked to end before any is waited for.
        for process in processes.values() {
            process.background.signal(Signal::TERM)?;
        }
        for process in processes.values() {
            end(&process.background)?;
        }
        Ok(processes.len())
    }
}
