//! Kubernetes, through kubectl: pods in a namespace of the run's own.
//!
//! A pod's sandbox owns the IPC namespace and `/dev/shm`; its containers are processes that join
//! them. What the node sees is seen by one more pod, which is in the node's IPC namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use self::client::{Client, failed};
use self::manifest::Metadata;
use self::nodes::Node;
use self::removal::Removal;
use self::state::ClusterRecord;
use super::tool::Tools;
use super::{CommandFailure, Engine, EngineError, EngineInfo, FailureKind, StepOutcome};
use crate::engine::observation::{Observation, State};
use crate::process::invocation::Output;
use crate::process::labels::{LEDGER_LABEL, RUN_LABEL, RunId};
use crate::process::ledger::{ClusterAt, Entry, LeftoverManifest};
use crate::process::name::{Name, Subdomain};
use crate::script::{Action, Container, Member, Place, Pod, RunOptions, Sharing, Step, Workload};

pub(crate) mod client;
pub(crate) mod cluster;
mod events;
pub(super) mod failure;
mod image_name;
mod manifest;
mod node_hooks;
pub mod nodes;
pub(crate) mod orphans;
pub(crate) mod pod;
pub(crate) mod removal;
mod spec_diff;
mod state;
mod wait;

pub use cluster::Cluster;
pub use pod::PodFailure;

/// The pod that sees what the node sees, and its container.
const HOST: Container = Container("host");
const HOST_POD: &[Pod] = &[Pod { name: Container("host-pod"), containers: &[Member::main(HOST)] }];

/// Who owns the namespace of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamespaceOwner {
    /// The run, which makes it and deletes it.
    Own,
    /// A run that makes it for several and deletes it after them.
    Shared,
    /// The user: it was there before, and stays.
    Given,
}

/// A cluster, and what one run has on it.
#[derive(Debug)]
pub struct Kubernetes {
    info: EngineInfo,
    run: RunId,
    cluster: Cluster,
    /// The same, as the ledger names it, once that is known.
    at: OnceLock<ClusterAt>,
    tools: Tools,
    /// Its namespace, by which the client calls kubectl.
    client: Client,
    /// What the run made there, by its names in the script.
    known: Mutex<ClusterRecord>,
    /// Held while the pod is made that sees what the node sees: steps side by side share it.
    host: Mutex<()>,
    /// Who owns the namespace.
    owner: NamespaceOwner,
    /// Set before the first object is made.
    used: AtomicBool,
}

impl Kubernetes {
    /// For one run.
    #[must_use]
    pub fn new(info: EngineInfo, cluster: Cluster, tools: Tools) -> Self {
        let run = RunId::random();
        let own = || format!("shm-{}", run.short());
        let namespace = cluster.namespace.clone().map_or_else(own, String::from);
        let (access, interrupt) = (cluster.access.clone(), tools.interrupt.clone());
        Self {
            info,
            run,
            client: Client { access, namespace, interrupt },
            known: Mutex::new(ClusterRecord::on(cluster.node.clone())),
            owner: if cluster.namespace.is_some() {
                NamespaceOwner::Given
            } else {
                NamespaceOwner::Own
            },
            cluster,
            at: OnceLock::new(),
            tools,
            host: Mutex::default(),
            used: AtomicBool::new(false),
        }
    }

    /// For one of several runs: in the namespace that this one has made, if it has, and with the
    /// same view of the node.
    #[must_use]
    pub fn run(&self, tools: Tools) -> Self {
        let known = self.know(|known| known.of_the_node());
        Self { known: Mutex::new(known), ..self.share(None, self.info.clone(), tools) }
    }

    /// For one of several runs, on a node of its own.
    #[must_use]
    pub fn run_on(&self, node: &Node, tools: Tools) -> Self {
        let info = EngineInfo { kernel: node.kernel.clone(), ..self.info.clone() };
        self.share(Some(node.name.clone()), info, tools)
    }

    fn share(&self, node: Option<Name<Subdomain>>, info: EngineInfo, tools: Tools) -> Self {
        let made = self.used.load(Ordering::SeqCst);
        let owner = if made && self.owner == NamespaceOwner::Own {
            NamespaceOwner::Shared
        } else {
            self.owner
        };
        // A namespace that a run has made is named by its id.
        let namespace = made.then(|| self.client.namespace.parse().ok()).flatten();
        let namespace = self.cluster.namespace.clone().or(namespace);
        let node = node.or(self.cluster.node.clone());
        Self {
            owner,
            at: self.at.clone(),
            ..Self::new(info, Cluster { namespace, node, ..self.cluster.clone() }, tools)
        }
    }

    fn name(&self, container: Container) -> String {
        format!("shm-{}-{}", self.run.short(), container.0.to_lowercase())
    }

    fn metadata(&self, name: String, namespace: Option<String>) -> Result<Metadata, EngineError> {
        let labels = BTreeMap::from([(RUN_LABEL, self.run.to_string())]);
        // A path does not fit into a label: it has slashes.
        let ledger = self.tools.ledger.path()?.display().to_string();
        let annotations = BTreeMap::from([(LEDGER_LABEL, ledger)]);
        Ok(Metadata { name: Some(name), namespace, labels, annotations })
    }

    /// The cluster, as the ledger names it.
    fn at(&self) -> Result<ClusterAt, EngineError> {
        if let Some(at) = self.at.get() {
            return Ok(at.clone());
        }
        let access = &self.cluster.access;
        let server = cluster::server(access, &self.tools.interrupt)?;
        Ok(self.at.get_or_init(|| ClusterAt::current(access.clone(), server)).clone())
    }

    /// Writes down an object that is going to be made.
    fn record(&self, kind: &str, name: &str) -> Result<(), EngineError> {
        let entry = Entry::Object {
            cluster: self.at()?,
            run: self.run.clone(),
            namespace: self.client.namespace.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        Ok(self.tools.ledger.record(entry)?)
    }

    /// Makes the namespace, where none was given.
    ///
    /// # Errors
    ///
    /// [`EngineError::Failed`] where the cluster does not let one be made.
    pub fn make_namespace(&self) -> Result<StepOutcome, EngineError> {
        let namespace = self.client.namespace.clone();
        if self.owner != NamespaceOwner::Own {
            return Ok(StepOutcome::Skipped(format!("the namespace {namespace} is there")));
        }
        self.record("namespace", &namespace)?;
        let metadata = self.metadata(namespace, None)?;
        self.used.store(true, Ordering::SeqCst);
        let output = self.client.create(&manifest::namespace(metadata))?;
        if !output.succeeded() {
            let failure = failed("the cluster does not let a namespace be made", output);
            return Err(failure.with_next_step("give one that is there, --namespace NAME").into());
        }
        Ok(StepOutcome::Observed(output.into()))
    }

    /// Makes what all runs of a command share: the namespace, and the pod that sees the node, by
    /// which the node of them all is chosen.
    ///
    /// # Errors
    ///
    /// Those of making a namespace.
    pub fn prepare(&self, left: &LeftoverManifest) -> Result<(), EngineError> {
        self.make_namespace()?;
        self.see_the_node(Some(left)).map(|_| ())
    }

    /// Makes the pod that shares the node's IPC namespace, unless it exists. Returns the reason if the cluster
    /// refuses it. If this program is killed, `clean` uses this pod to remove `left` from the node.
    fn see_the_node(&self, left: Option<&LeftoverManifest>) -> Result<Option<String>, EngineError> {
        let one_at_a_time = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        let (there, blind) = self.know(|it| (it.pod_of(HOST).is_some(), it.blind.clone()));
        if there || blind.is_some() {
            return Ok(blind);
        }
        if let Some(left) = left {
            self.tools.ledger.record(Entry::NodeMemory {
                cluster: self.at()?,
                run: self.run.clone(),
                namespace: self.client.namespace.clone(),
                pod: self.name(HOST_POD[0].name),
                left: left.clone(),
            })?;
        }
        let seeing = Workload { ipc: Sharing::Host, ..Workload::pod(HOST_POD) };
        let why = match self.deploy(&seeing)? {
            StepOutcome::Observed(Observation { state: Some(State::Running), .. }) => None,
            StepOutcome::Observed(refused) => {
                let said = refused.output.stderr_tail();
                Some(format!("no pod may see what the node sees: {said}"))
            }
            StepOutcome::Skipped(why) => Some(format!("no pod may see what the node sees: {why}")),
        };
        self.know(|known| known.blind.clone_from(&why));
        drop(one_at_a_time);
        Ok(why)
    }

    fn exec(
        &self,
        container: Container,
        tool: &str,
        args: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<Output, EngineError> {
        let pod = self.know(|known| known.pod_of(container)).map(String::from).unwrap_or_default();
        let name = self.know(|known| known.name_of(container));
        let interactive: &[_] = if stdin.is_some() { &["--stdin"] } else { &[] };
        let command = ["exec", &pod, "--container", &name];
        let args = [&command, interactive, &["--", tool], args].concat();
        let kubectl = self.client.kubectl(&args).stdin(stdin.unwrap_or_default());
        Ok(kubectl.run(&self.tools.interrupt)?)
    }

    fn use_tool(&self, container: Container, action: &Action) -> Result<Observation, EngineError> {
        let (tool, args) = self.tools.command(action, Path::new("/"))?;
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let output = self.exec(container, tool, &args, self.tools.stdin(action))?;
        // That is kubectl's own, for no tool ends by it: the tool was not run, so nothing was seen.
        if output.exit_code == Some(1) {
            let next_step = format!(
                "see what became of its pod (kubectl describe, with --keep), and whether you may \
                 (kubectl --namespace {} auth can-i create pods/exec)",
                self.client.namespace
            );
            let failure = failed(format!("{tool} could not be run in {container}"), output);
            return Err(failure.with_next_step(next_step).into());
        }
        if let Action::Write(mechanism, text) | Action::Control(mechanism, text) = action {
            self.know(|known| known.wrote(container, *mechanism, text));
        }
        let namespace = self.know(|known| known.namespace_of(container));
        Ok(Observation { namespace, ..output.into() })
    }

    /// What the node sees, through a pod in its IPC namespace.
    fn on_host(&self, action: &Action) -> Result<StepOutcome, EngineError> {
        match self.see_the_node(None)? {
            Some(why) => Ok(StepOutcome::Skipped(why)),
            None => Ok(StepOutcome::Observed(self.use_tool(HOST, action)?)),
        }
    }

    fn processes(&self) -> Result<Observation, EngineError> {
        let selector = format!("{RUN_LABEL}={}", self.run);
        let output = self.client.invoke(&["get", "pods", "--selector", &selector])?;
        let pods: Vec<pod::Pod> = self.client.list("pods", &selector)?;
        let running = |known: &ClusterRecord| -> BTreeSet<_> {
            let runs = |container: &Container| {
                let (pod, name) = (known.pod_of(*container), known.name_of(*container));
                let found = pods.iter().find(|it| Some(&it.metadata.name) == pod.as_ref());
                *container != HOST && found.is_some_and(|it| it.counts() && it.runs(&name))
            };
            known.containers().filter(runs).collect()
        };
        let running = self.know(|known| running(known));
        Ok(Observation { running: Some(running), ..output.into() })
    }

    fn know<T>(&self, access: impl FnOnce(&mut ClusterRecord) -> T) -> T {
        // What is known stays whole whatever panicked while it was locked.
        access(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Engine for Kubernetes {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn is_on_this_host(&self) -> bool {
        false
    }

    fn refused(&self, output: Output) -> EngineError {
        let what = "the cluster refused".to_owned();
        let next_step =
            "have that changed there, or give a namespace where it is not so, --namespace NAME";
        CommandFailure::new(what, FailureKind::Rejected, output).with_next_step(next_step).into()
    }

    fn unsupported_reason(&self, action: &Action) -> Option<&'static str> {
        match action {
            Action::KillSandbox if self.cluster.kill_sandbox.is_none() => {
                Some("kubectl has no word for it: give a command, --kill-sandbox COMMAND")
            }
            Action::RestartKubelet if self.cluster.restart_kubelet.is_none() => {
                Some("kubectl has no word for it: give a command, --restart-kubelet COMMAND")
            }
            Action::Run(RunOptions { sharing: Sharing::Pod(_), setting: None })
            | Action::Build
            | Action::Crash
            | Action::ExhaustMemory
            | Action::Remove
            | Action::Processes
            | Action::Write(..)
            | Action::Control(..)
            | Action::Read(_)
            | Action::List => None,
            action if action.is_of_clusters() => None,
            _ => Some("Kubernetes has no word for it"),
        }
    }

    fn execute_step(&self, step: &Step) -> Result<StepOutcome, EngineError> {
        let Place::In(place) = step.place else {
            return match &step.action {
                Action::Build => self.make_namespace(),
                Action::Processes => Ok(StepOutcome::Observed(self.processes()?)),
                action => self.on_host(action),
            };
        };
        match &step.action {
            Action::Deploy(workload) => self.deploy(workload),
            Action::Run(RunOptions { sharing: Sharing::Pod(pod), .. }) => self.debug(*pod, place),
            Action::Crash => self.crash(place),
            Action::Finish => self.finish(place),
            Action::ChangeImage => self.change_image(place),
            Action::KillSandbox => self.kill_sandbox(place),
            Action::RestartKubelet => self.restart_kubelet(place),
            Action::Replace => self.replace(place),
            Action::Remove => self.remove(place),
            action => match self.unsupported_reason(action) {
                Some(why) => Err(EngineError::Script(format!("{action:?}: {why}"))),
                None => Ok(StepOutcome::Observed(self.use_tool(place, action)?)),
            },
        }
    }

    fn clean_up(&self) -> Result<usize, EngineError> {
        if !self.used.load(Ordering::SeqCst) {
            return Ok(0);
        }
        let interrupt = self.client.interrupt.for_cleaning();
        let client = Client { interrupt, ..self.client.clone() };
        let stray = self.remove_what_was_written(&client);
        let count = self.know(|known| known.pods().count());
        let entries = self.tools.ledger.of_run(&self.run);
        let removal = Removal::new(&client, &self.run, &entries);
        removal.remove(&removal.find()?, self.owner == NamespaceOwner::Shared)?;
        stray?;
        self.tools.ledger.forget(|entry| entry.run() == Some(&self.run));
        Ok(count)
    }
}
