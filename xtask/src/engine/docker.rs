//! Docker and Podman, through their command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use shm_core::IpcNamespace;
use shm_core::namespace::boot_id;

use super::image::Image;
use super::tool::Tools;
use super::{Answer, Engine, EngineError, EngineInfo};
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, Transcript};
use crate::ledger::{OWNER_LABEL, Owner, RUN_LABEL, RUN_VARIABLE, RunId};
use crate::observation::{Identity, Observation, State};
use crate::script::{Action, Container, Place, Sharing, Step};

/// Where the volume is mounted that all containers of a script share.
const VOLUME: &str = "/shared";

/// How long an engine may go on with what a client asked for that is gone.
pub const ENGINE_SETTLES: Duration = Duration::from_secs(1);

/// The least that a container can run with.
const HARDENED: [&str; 7] = [
    "--network",
    "none",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
];

/// An engine with Docker's command line, and what one run has on it.
#[derive(Debug)]
pub struct Docker {
    info: EngineInfo,
    program: &'static str,
    run: RunId,
    image: Image,
    tools: Tools,
    /// Those that were made, with the namespace of their last start.
    containers: Mutex<BTreeMap<Container, Identity>>,
    /// Set before the first container is made.
    used: AtomicBool,
    /// Set where a command was given up on that may still make a container.
    in_doubt: AtomicBool,
}

/// What `shm_ls --json` tells about the place where it runs.
#[derive(Deserialize)]
struct Report {
    boot_id: Option<String>,
    ipc_namespace: Option<ReportedNamespace>,
}

#[derive(Deserialize)]
struct ReportedNamespace {
    inode: u64,
    id: Option<u64>,
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
        let (state, pid) = self.inspect(&self.name(container))?;
        if state != State::Running {
            return Ok(Observation { state: Some(state), ..transcript.into() });
        }
        let namespace = self.identify(&self.name(container), pid);
        self.with_containers(|containers| containers.insert(container, namespace.clone()));
        let (namespace, state) = (Some(namespace), Some(state));
        Ok(Observation { namespace, state, ..transcript.into() })
    }

    fn run(&self, container: Container, sharing: Sharing) -> Result<Observation, EngineError> {
        self.used.store(true, Ordering::SeqCst);
        let name = self.name(container);
        let run = format!("{RUN_LABEL}={}", self.run);
        let owner = format!("{OWNER_LABEL}={}", Owner::current());
        let variable = format!("{RUN_VARIABLE}={}", self.run);
        let mut args = vec!["run", "--detach", "--name", &name, "--label", &run, "--label", &owner];
        args.extend(["--env", &variable]);
        args.extend(HARDENED);
        let (mode, volume) = (self.ipc_mode(sharing), self.volume());
        args.extend(mode.iter().chain(&volume).map(String::as_str));
        if self.image.is_bare() {
            args.push(self.image.tag());
        } else {
            // An interactive shell ignores SIGTERM; it ends on SIGHUP, as when a terminal closes.
            args.extend(["--interactive", "--tty", "--stop-signal", "SIGHUP"]);
            args.extend(["--entrypoint", "/bin/bash", self.image.tag()]);
        }
        let answer = self.change(container, &args);
        self.in_doubt.fetch_or(answer.is_err(), Ordering::SeqCst);
        answer
    }

    fn ipc_mode(&self, sharing: Sharing) -> Vec<String> {
        let mode = match sharing {
            Sharing::Default => return vec![],
            Sharing::Private | Sharing::HostShm => "private".to_owned(),
            Sharing::Shareable => "shareable".to_owned(),
            Sharing::Container(donor) => format!("container:{}", self.name(donor)),
            Sharing::Host => "host".to_owned(),
            Sharing::None => "none".to_owned(),
        };
        let mut args = vec!["--ipc".to_owned(), mode];
        if sharing == Sharing::HostShm {
            args.extend(["--volume", "/dev/shm:/dev/shm"].map(str::to_owned));
        }
        args
    }

    fn volume(&self) -> Vec<String> {
        let Some(folder) = &self.tools.volume else { return vec![] };
        vec!["--volume".to_owned(), format!("{}:{VOLUME}", folder.display())]
    }

    fn in_container(
        &self,
        container: Container,
        action: &Action,
    ) -> Result<Observation, EngineError> {
        let verb = match action {
            Action::Run(sharing) => return self.run(container, *sharing),
            Action::Remove => return self.remove(container),
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Kill => "kill",
            Action::Restart => "restart",
            Action::Pause => "pause",
            Action::Unpause => "unpause",
            action => return self.exec(container, action),
        };
        self.change(container, &[verb, &self.name(container)])
    }

    fn remove(&self, container: Container) -> Result<Observation, EngineError> {
        let transcript = self.invoke(&["rm", "--force", &self.name(container)])?;
        let state = if transcript.succeeded() { State::Gone } else { State::Refused };
        Ok(Observation { state: Some(state), ..transcript.into() })
    }

    /// What a container is, and the id of its process.
    fn inspect(&self, name: &str) -> Result<(State, u32), EngineError> {
        let format = "{{.State.Status}} {{.State.Pid}}";
        let transcript = self.invoke(&["inspect", "--format", format, name])?;
        let answer = transcript.text();
        let parsed = answer.split_once(' ').and_then(|(status, pid)| {
            let state = match status {
                "running" => State::Running,
                "paused" => State::Paused,
                // What was never started, or is dead, is just as little there.
                "exited" | "created" | "dead" | "stopped" => State::Exited,
                _ => return None,
            };
            Some((state, pid.parse().ok()?))
        });
        parsed.ok_or_else(|| EngineError::Unexpected {
            command: transcript.command_line(),
            answer: [answer, transcript.last_words()].concat(),
        })
    }

    /// The namespace of a container that runs: by its process, or else by its own word.
    fn identify(&self, name: &str, pid: u32) -> Identity {
        // With a remote engine the id is that of some process there; ours carries our variable.
        let variable = format!("{RUN_VARIABLE}={}", self.run);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let ours = environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes());
        if ours && let Ok(namespace) = IpcNamespace::of_process(pid) {
            return Identity::Kernel(namespace);
        }
        let Ok(transcript) = self.invoke(&["exec", name, "shm_ls", "--json"]) else {
            return Identity::Unknown("the container does not answer".to_owned());
        };
        match serde_json::from_slice::<Report>(&transcript.stdout) {
            Err(_) => Identity::Unknown("the container does not tell".to_owned()),
            Ok(Report { boot_id: Some(theirs), .. })
                if boot_id().is_some_and(|it| it != theirs) =>
            {
                Identity::Unknown(ELSEWHERE.to_owned())
            }
            Ok(Report {
                ipc_namespace: Some(ReportedNamespace { inode, id: Some(id) }), ..
            }) => Identity::Kernel(IpcNamespace::reported(inode, id)),
            Ok(_) => Identity::Unknown(
                "the container's process is another user's and this kernel, older than 6.18, has \
                 no ids that outlive a namespace; run as root"
                    .to_owned(),
            ),
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
        let (tool, args) = self.tools.command(action, Path::new(VOLUME))?;
        let mut command = vec!["exec", &name];
        match (action, self.image.is_bare()) {
            (Action::List, false) => command.extend(["ipcs", "-m"]),
            _ => command.push(tool),
        }
        command.extend(args.iter().map(String::as_str));
        let transcript = self.invoke(&command)?;
        let namespace = self.with_containers(|containers| containers.get(&container).cloned());
        Ok(Observation { namespace, ..transcript.into() })
    }

    fn with_containers<T>(
        &self,
        access: impl FnOnce(&mut BTreeMap<Container, Identity>) -> T,
    ) -> T {
        // A map stays whole whatever panicked while it was locked.
        access(&mut self.containers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the containers turned out to run under another kernel than this program.
    fn is_elsewhere(&self) -> bool {
        let elsewhere = Identity::Unknown(ELSEWHERE.to_owned());
        self.with_containers(|containers| containers.values().any(|known| *known == elsewhere))
    }
}

const ELSEWHERE: &str = "the containers run under another kernel than this program";

impl Engine for Docker {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn is_on_this_host(&self) -> bool {
        IpcNamespace::current().is_ok_and(|namespace| namespace.is_initial())
    }

    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError> {
        let observation = match step.place {
            Place::In(container) => self.in_container(container, &step.action)?,
            Place::Host => match &step.action {
                Action::Build => self.image.ensure(self.program, &self.tools.interrupt)?.into(),
                Action::Processes => self.processes()?,
                _ if !self.is_on_this_host() => {
                    let why = "this program is not in the host's IPC namespace itself, so it does \
                               not see what the host sees: run it on the host";
                    return Ok(Answer::Skipped(why.to_owned()));
                }
                _ if self.is_elsewhere() => {
                    return Ok(Answer::Skipped(format!("{ELSEWHERE}: this is not their host")));
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
        // Cleaning up is what an interruption asks for: it does not interrupt that.
        let calm = Interrupt::default();
        let invoke = |args: &[&str]| Invocation::new(self.program, args.iter().copied()).run(&calm);
        // By label, not by name: a container that was made by a command that failed is found too.
        let filter = format!("label={RUN_LABEL}={}", self.run);
        let find = || invoke(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let remove = |ids: &[&str]| invoke(&[&["rm", "--force", "--volumes"], ids].concat());
        let mut found = find()?;
        if self.in_doubt.load(Ordering::SeqCst) {
            // The engine may go on with what a client asked for that is gone.
            thread::sleep(ENGINE_SETTLES);
            found = find()?;
        }
        let text = found.text();
        let ids: Vec<_> = text.lines().collect();
        if found.succeeded() && (ids.is_empty() || remove(&ids)?.succeeded()) {
            return Ok(ids.len());
        }
        // Where one of them is gone already, podman removes none of the others.
        let mut last = found;
        for id in &ids {
            last = remove(&[id])?;
        }
        let left = find()?;
        if left.succeeded() && left.text().is_empty() {
            return Ok(ids.len());
        }
        let what = format!("containers of run {} may be left: cargo xtask clean", self.run);
        Err(EngineError::Refused { what, transcript: last })
    }
}
