//! Kubernetes, through kubectl: a pod for each container of a script, in a namespace of the run's own.
//!
//! A pod's sandbox owns the IPC namespace and `/dev/shm`; its container is a process that joins
//! them. What the node sees is seen by one more pod, which is in the node's IPC namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::manifest::{CONTAINER, END, Metadata, Wanted};
use self::pod::Pod;
use super::docker::inspect::reported_anywhere;
use super::tool::Tools;
use super::{Answer, Engine, EngineError, EngineInfo};
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, Transcript};
use crate::ledger::{OWNER_LABEL, Owner, RUN_LABEL, RunId};
use crate::observation::{Identity, Observation, State};
use crate::script::{Action, Container, Launch, Place, Sharing, Step};

mod manifest;
pub mod nodes;
mod pod;

/// How long a pod may take to run, to run again or to be gone, and how often to look.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long no node may take a pod: others may be making room.
const UNSCHEDULABLE: Duration = Duration::from_secs(5);
/// How long a namespace may take to be gone.
const NAMESPACE_GOES: Duration = Duration::from_mins(3);

/// The pod that sees what the node sees.
const HOST: Container = Container("host");

/// A cluster, and what one run has on it.
#[derive(Debug)]
pub struct Kubernetes {
    info: EngineInfo,
    run: RunId,
    cluster: Cluster,
    tools: Tools,
    /// The pods that run, each with the namespace of its last start where that was looked at.
    pods: Mutex<BTreeMap<Container, Option<Identity>>>,
    /// The node that all pods are on, once that is known: the ids of namespaces are its kernel's.
    node: Mutex<Option<String>>,
    /// Held while the pod is made that sees what the node sees: steps side by side share it.
    host: Mutex<()>,
    /// Set before the first object is made.
    used: AtomicBool,
}

/// Which part of a cluster is used, and for what.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The options with which kubectl finds it.
    pub access: Vec<String>,
    /// A namespace that is there; `None` makes one for the run.
    pub namespace: Option<String>,
    /// The image with the tools in it.
    pub image: Option<String>,
    /// The node that all pods are on; `None` leaves the first to the scheduler.
    pub node: Option<String>,
}

impl Cluster {
    fn wanted<'a>(&'a self, host_ipc: bool, node: Option<&'a str>) -> Wanted<'a> {
        Wanted { image: self.image.as_deref().unwrap_or_default(), host_ipc, node }
    }

    /// What a run asks the cluster to make, as a list that kubectl takes: a namespace, the pod of a
    /// container, and the one that sees what the node sees.
    #[must_use]
    pub fn manifests(&self) -> serde_json::Value {
        let namespace = self.namespace.clone().unwrap_or_else(|| "shm-example".to_owned());
        let labels = || BTreeMap::from([(RUN_LABEL, "example".to_owned())]);
        let pod = |name: &str, host_ipc| {
            let (name, namespace) = (name.to_owned(), Some(namespace.clone()));
            let (labels, annotations) = (labels(), BTreeMap::new());
            self.wanted(host_ipc, self.node.as_deref()).pod(Metadata {
                name,
                namespace,
                labels,
                annotations,
            })
        };
        let made = self.namespace.is_none().then(|| manifest::namespace(&namespace, labels()));
        let mut items =
            vec![serde_json::json!(pod("a", false)), serde_json::json!(pod("host", true))];
        items.splice(0..0, made.map(|it| serde_json::json!(it)));
        serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items })
    }
}

impl Kubernetes {
    /// For one run.
    #[must_use]
    pub fn new(info: EngineInfo, cluster: Cluster, tools: Tools) -> Self {
        Self {
            info,
            run: RunId::random(),
            node: Mutex::new(cluster.node.clone()),
            cluster,
            tools,
            pods: Mutex::default(),
            host: Mutex::default(),
            used: AtomicBool::new(false),
        }
    }

    /// The namespace that the run makes its pods in.
    #[must_use]
    pub fn namespace(&self) -> String {
        self.cluster.namespace.clone().unwrap_or_else(|| format!("shm-{}", self.run))
    }

    fn name(&self, container: Container) -> String {
        format!("shm-{}-{}", self.run, container.0.to_lowercase())
    }

    fn labels(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([(RUN_LABEL, self.run.to_string())])
    }

    /// The owner does not fit into a label: it has slashes.
    fn annotations() -> BTreeMap<&'static str, String> {
        BTreeMap::from([(OWNER_LABEL, Owner::current().to_string())])
    }

    fn kubectl(&self, args: &[&str]) -> Invocation {
        let namespace = self.namespace();
        let access = self.cluster.access.iter().map(String::as_str);
        let args = access.chain(["--namespace", &namespace]).chain(args.iter().copied());
        Invocation::new("kubectl", args)
    }

    fn invoke(&self, args: &[&str]) -> Result<Transcript, EngineError> {
        Ok(self.kubectl(args).run(&self.tools.interrupt)?)
    }

    /// Has an object made; what the cluster refuses is an answer.
    fn create(&self, object: &impl Serialize) -> Result<Transcript, EngineError> {
        self.used.store(true, Ordering::SeqCst);
        let text = serde_json::to_vec(object).unwrap_or_default();
        let create = self.kubectl(&["create", "--filename", "-"]).stdin(text);
        Ok(create.run(&self.tools.interrupt)?)
    }

    fn get<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T, EngineError> {
        let transcript = self.invoke(&[&["get", "--output", "json"], args].concat())?;
        if !transcript.succeeded() {
            let what = "the cluster does not answer".to_owned();
            return Err(EngineError::Refused { what, transcript });
        }
        serde_json::from_slice(&transcript.stdout).map_err(|error| EngineError::Unexpected {
            command: transcript.command_line(),
            answer: error.to_string(),
        })
    }

    /// Makes the namespace, where none was given.
    ///
    /// # Errors
    ///
    /// [`EngineError::Refused`] where the cluster does not let one be made.
    pub fn make_namespace(&self) -> Result<Answer, EngineError> {
        if let Some(namespace) = &self.cluster.namespace {
            return Ok(Answer::Skipped(format!("the namespace {namespace} was given")));
        }
        let mut object = manifest::namespace(&self.namespace(), self.labels());
        object.metadata.annotations = Self::annotations();
        let transcript = self.create(&object)?;
        if !transcript.succeeded() {
            let what = "the cluster does not let a namespace be made; next step: give one that is \
                        there, --namespace NAME"
                .to_owned();
            return Err(EngineError::Refused { what, transcript });
        }
        Ok(Answer::Observed(transcript.into()))
    }

    fn run(&self, container: Container, sharing: Sharing) -> Result<Observation, EngineError> {
        let (name, host_ipc) = (self.name(container), sharing == Sharing::Host);
        let metadata = Metadata {
            name: name.clone(),
            namespace: Some(self.namespace()),
            labels: self.labels(),
            annotations: Self::annotations(),
        };
        let node = self.with_node(|node| node.clone());
        let created = self.create(&self.cluster.wanted(host_ipc, node.as_deref()).pod(metadata))?;
        if !created.succeeded() {
            return Ok(Observation { state: Some(State::Refused), ..created.into() });
        }
        let duration = self.wait(&name, created.duration, |pod| {
            let runs = pod.runs_after(None);
            if runs && node.is_none() {
                self.with_node(|node| node.clone_from(&pod.spec.node_name));
            }
            runs
        })?;
        self.look(container, Observation { duration, ..created.into() })
    }

    fn with_node<T>(&self, access: impl FnOnce(&mut Option<String>) -> T) -> T {
        access(&mut self.node.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a pod is as wanted; returns how long that took in all.
    fn wait(
        &self,
        name: &str,
        already: Duration,
        is_as_wanted: impl Fn(&Pod) -> bool,
    ) -> Result<Duration, EngineError> {
        let started = Instant::now();
        loop {
            let pod: Pod = self.get(&["pod", name])?;
            if is_as_wanted(&pod) {
                return Ok(already + started.elapsed());
            }
            let late = started.elapsed() > PATIENCE;
            let unschedulable = pod.unschedulable().filter(|_| started.elapsed() > UNSCHEDULABLE);
            if let Some(why) = pod.hopeless().or(unschedulable) {
                return Err(EngineError::Script(format!("pod {name} does not run: {why}")));
            } else if late {
                let what = format!("pod {name} does not run after {} s", PATIENCE.as_secs());
                return Err(EngineError::Script(what));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Adds to the observation of a start what the pod says of its namespace.
    fn look(&self, container: Container, started: Observation) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let asked =
            self.invoke(&["exec", &name, "--container", CONTAINER, "--", "shm_ls", "--json"])?;
        let namespace = reported_anywhere(&asked.stdout);
        self.with_pods(|pods| pods.insert(container, Some(namespace.clone())));
        let (namespace, state) = (Some(namespace), Some(State::Running));
        Ok(Observation { namespace, state, ..started })
    }

    /// Ends the container's process from within, and waits until the kubelet has started it again.
    fn crash(&self, container: Container) -> Result<Observation, EngineError> {
        let name = self.name(container);
        let before: Pod = self.get(&["pod", &name])?;
        let ended = self.exec(&name, "shm_wr", &["--file", END, "end"])?;
        if !ended.succeeded() {
            let what = format!("the process of {name} could not be ended");
            return Err(EngineError::Refused { what, transcript: ended });
        }
        let restarts = Some(before.restarts());
        let duration = self.wait(&name, ended.duration, |pod| pod.runs_after(restarts))?;
        self.look(container, Observation { duration, ..ended.into() })
    }

    fn remove(&self, container: Container) -> Result<Observation, EngineError> {
        let deleted = self.invoke(&["delete", "pod", &self.name(container)])?;
        self.with_pods(|pods| pods.remove(&container));
        let state = if deleted.succeeded() { State::Gone } else { State::Refused };
        Ok(Observation { state: Some(state), ..deleted.into() })
    }

    fn exec(&self, name: &str, tool: &str, args: &[&str]) -> Result<Transcript, EngineError> {
        let command = ["exec", name, "--container", CONTAINER, "--", tool];
        self.invoke(&[&command, args].concat())
    }

    fn use_tool(&self, container: Container, action: &Action) -> Result<Observation, EngineError> {
        let (tool, args) = self.tools.command(action, Path::new("/"))?;
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let transcript = self.exec(&self.name(container), tool, &args)?;
        let namespace = self.with_pods(|pods| pods.get(&container).cloned()).flatten();
        Ok(Observation { namespace, ..transcript.into() })
    }

    /// What the node sees, through a pod in its IPC namespace.
    fn on_host(&self, action: &Action) -> Result<Answer, EngineError> {
        let one_at_a_time = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.with_pods(|pods| pods.contains_key(&HOST)) {
            let started = self.run(HOST, Sharing::Host)?;
            if started.state == Some(State::Refused) {
                let said = Transcript::from(started).last_words();
                return Ok(Answer::Skipped(format!("no pod may see what the node sees: {said}")));
            }
        }
        drop(one_at_a_time);
        Ok(Answer::Observed(self.use_tool(HOST, action)?))
    }

    fn processes(&self) -> Result<Observation, EngineError> {
        #[derive(serde::Deserialize)]
        struct Pods {
            items: Vec<Pod>,
        }
        let selector = format!("{RUN_LABEL}={}", self.run);
        let transcript = self.invoke(&["get", "pods", "--selector", &selector])?;
        let pods: Pods = self.get(&["pods", "--selector", &selector])?;
        let names: BTreeSet<_> = pods
            .items
            .iter()
            .filter(|pod| pod.is_running())
            .map(|pod| &pod.metadata.name)
            .collect();
        let running = self.with_pods(|pods| {
            let runs = |it: &Container| *it != HOST && names.contains(&self.name(*it));
            pods.keys().copied().filter(runs).collect()
        });
        Ok(Observation { running: Some(running), ..transcript.into() })
    }

    fn with_pods<T>(
        &self,
        access: impl FnOnce(&mut BTreeMap<Container, Option<Identity>>) -> T,
    ) -> T {
        // A map stays whole whatever panicked while it was locked.
        access(&mut self.pods.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Engine for Kubernetes {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn is_on_this_host(&self) -> bool {
        false
    }

    fn lacks(&self, action: &Action) -> Option<&'static str> {
        match action {
            Action::Run(Launch { sharing: Sharing::Default | Sharing::Host, setting: None })
            | Action::Crash
            | Action::Remove
            | Action::Build
            | Action::Processes
            | Action::Write(..)
            | Action::Read(_)
            | Action::List => None,
            _ => Some("Kubernetes has no word for it"),
        }
    }

    fn carry_out(&self, step: &Step) -> Result<Answer, EngineError> {
        let observation = match (&step.action, step.place) {
            (Action::Build, _) => return self.make_namespace(),
            (Action::Processes, _) => self.processes()?,
            (action, Place::Host) => return self.on_host(action),
            (Action::Run(launch), Place::In(container)) => self.run(container, launch.sharing)?,
            (Action::Crash, Place::In(container)) => self.crash(container)?,
            (Action::Remove, Place::In(container)) => self.remove(container)?,
            (action, Place::In(container)) => match self.lacks(action) {
                Some(why) => return Err(EngineError::Script(format!("{action:?}: {why}"))),
                None => self.use_tool(container, action)?,
            },
        };
        Ok(Answer::Observed(observation))
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        if !self.used.load(Ordering::SeqCst) {
            return Ok(0);
        }
        let selector = format!("{RUN_LABEL}={}", self.run);
        let count = self.with_pods(|pods| pods.len());
        // Cleaning up is what an interruption asks for: it does not interrupt that.
        let delete = |args: &[&str]| {
            let args = [&["delete"], args, &["--selector", &selector]].concat();
            self.kubectl(&args).timeout(NAMESPACE_GOES).run(&Interrupt::default())
        };
        // There is nothing in them to be saved, and a namespace waits long for pods that are going.
        let mut deleted = delete(&["pods", "--grace-period", "0", "--force"])?;
        if self.cluster.namespace.is_none() {
            deleted = delete(&["namespace"])?;
        }
        if deleted.succeeded() {
            return Ok(count);
        }
        let what = format!("objects of run {} may be left: cargo xtask clean", self.run);
        Err(EngineError::Refused { what, transcript: deleted })
    }
}
