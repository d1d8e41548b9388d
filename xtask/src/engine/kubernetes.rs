//! Kubernetes, through kubectl: pods in a namespace for each run.
//!
//! A pod's sandbox owns the IPC namespace and `/dev/shm`, which its containers join. Another pod,
//! the observer pod, uses the node's IPC namespace (`hostIPC`).

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
use super::{CommandFailure, Engine, EngineError, EngineInfo, FailureKind, StepOutcome, with};
use crate::engine::observation::{Observation, State};
use crate::process::invocation::Output;
use crate::process::labels::{LEDGER_LABEL, RUN_LABEL, RunId};
use crate::process::ledger::{ClusterAt, Entry, LeftoverManifest};
use crate::process::name::{CheckedName, Subdomain};
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

/// The observer pod, and its container.
const HOST: Container = Container("host");
const HOST_POD: &[Pod] = &[Pod { name: Container("host-pod"), containers: &[Member::main(HOST)] }];

/// The owner of a run's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamespaceOwner {
    /// This run, which creates and deletes it.
    Own,
    /// Another run, which creates it for several runs and deletes it after them.
    Shared,
    /// The user: it existed before, and stays.
    Given,
}

/// A cluster, and the objects of one run.
#[derive(Debug)]
pub struct Kubernetes {
    info: EngineInfo,
    run: RunId,
    cluster: Cluster,
    /// The cluster as the ledger names it, once it was read.
    at: OnceLock<ClusterAt>,
    tools: Tools,
    client: Client,
    /// The objects of the run, by their names in the script.
    known: Mutex<ClusterRecord>,
    /// Held during the creation of the observer pod, which concurrent steps share.
    host: Mutex<()>,
    owner: NamespaceOwner,
    /// Set before the first object is created.
    used: AtomicBool,
}

impl Kubernetes {
    /// Creates the engine for one run.
    #[must_use]
    pub fn new(info: EngineInfo, cluster: Cluster, tools: Tools) -> Self {
        let run = RunId::random();
        let own = || format!("shm-{}", run.short());
        let namespace = cluster.namespace.clone().map_or_else(own, String::from);
        let (access, interrupt) = (cluster.access(), tools.interrupt.clone());
        Self {
            info,
            run,
            client: Client { access, namespace, interrupt },
            known: Mutex::new(ClusterRecord { node: cluster.node.clone(), ..Default::default() }),
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

    /// Creates the engine for one of several runs, which share the namespace and observer pod.
    #[must_use]
    pub fn run(&self, tools: Tools) -> Self {
        let known = self.with_record(|known| known.shared_part());
        Self { known: Mutex::new(known), ..self.share(None, self.info.clone(), tools) }
    }

    /// Creates the engine for one of several runs, on another node.
    #[must_use]
    pub fn run_on(&self, node: &Node, tools: Tools) -> Self {
        let info = EngineInfo { kernel: node.kernel.clone(), ..self.info.clone() };
        self.share(Some(node.name.clone()), info, tools)
    }

    fn share(&self, node: Option<CheckedName<Subdomain>>, info: EngineInfo, tools: Tools) -> Self {
        let made = self.used.load(Ordering::SeqCst);
        let owner = if made && self.owner == NamespaceOwner::Own {
            NamespaceOwner::Shared
        } else {
            self.owner
        };
        // A new run would derive another namespace from its id.
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
        // A label value cannot have the slashes of a path.
        let ledger = self.tools.ledger.path()?.display().to_string();
        let annotations = BTreeMap::from([(LEDGER_LABEL, ledger)]);
        Ok(Metadata { name: Some(name), namespace, labels, annotations })
    }

    /// Returns the cluster as the ledger names it.
    fn at(&self) -> Result<ClusterAt, EngineError> {
        if let Some(at) = self.at.get() {
            return Ok(at.clone());
        }
        let access = self.cluster.access();
        let server = cluster::server(&access, &self.tools.interrupt)?;
        Ok(self.at.get_or_init(|| ClusterAt::current(access, server)).clone())
    }

    /// Records in the ledger an object that will be created.
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

    /// Creates the namespace, unless the user named one.
    ///
    /// # Errors
    ///
    /// [`EngineError::Failed`] where the cluster does not allow it.
    pub fn make_namespace(&self) -> Result<StepOutcome, EngineError> {
        let namespace = self.client.namespace.clone();
        if self.owner != NamespaceOwner::Own {
            return Ok(StepOutcome::Skipped(format!("namespace {namespace} exists")));
        }
        self.record("namespace", &namespace)?;
        let metadata = self.metadata(namespace, None)?;
        self.used.store(true, Ordering::SeqCst);
        let output = self.client.create(&manifest::namespace(&metadata))?;
        if !output.succeeded() {
            let failure = failed("cannot create a namespace", output);
            return Err(failure.with_next_step("use an existing one, --namespace NAME").into());
        }
        Ok(StepOutcome::Observed(output.into()))
    }

    /// Creates what all runs of a command share: the namespace and the observer pod. The other
    /// pods use its node.
    ///
    /// # Errors
    ///
    /// Those of [`Self::make_namespace`], and those of creating the pod.
    pub fn prepare(&self, left: &LeftoverManifest) -> Result<(), EngineError> {
        self.make_namespace()?;
        self.ensure_observer_pod(Some(left)).map(|_| ())
    }

    /// Creates the observer pod, unless it exists. Returns why the cluster refuses it. If this
    /// program is killed, `clean` uses the pod to remove `left` from the node.
    fn ensure_observer_pod(
        &self,
        left: Option<&LeftoverManifest>,
    ) -> Result<Option<String>, EngineError> {
        let one_at_a_time = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        let (there, refusal) =
            self.with_record(|it| (it.pod_of(HOST).is_some(), it.observer_refusal.clone()));
        if there || refusal.is_some() {
            return Ok(refusal);
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
        let observer = Workload { ipc: Sharing::Host, ..Workload::pod(HOST_POD) };
        let said = match self.deploy(&observer)? {
            StepOutcome::Observed(Observation { state: Some(State::Running), .. }) => None,
            StepOutcome::Observed(refused) => Some(refused.output.stderr_tail().to_string()),
            StepOutcome::Skipped(why) => Some(why),
        };
        let why = said.map(|said| format!("no pod may use the node's IPC namespace: {said}"));
        self.with_record(|known| known.observer_refusal.clone_from(&why));
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
        let pod =
            self.with_record(|known| known.pod_of(container)).map(String::from).unwrap_or_default();
        let name = self.with_record(|known| known.name_of(container));
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
        // The tools never exit with status 1: kubectl itself failed and did not run the tool.
        if output.exit_code == Some(1) {
            let next_step = format!(
                "check the pod's state (kubectl describe pod, with --keep) and your permission \
                 (kubectl --namespace {} auth can-i create pods/exec)",
                self.client.namespace
            );
            let failure = failed(format!("cannot run {tool} in {container}"), output);
            return Err(failure.with_next_step(next_step).into());
        }
        if let Action::Write(mechanism, text) | Action::Control(mechanism, text) = action {
            self.with_record(|known| known.wrote(container, *mechanism, text));
        }
        let namespace = self.with_record(|known| known.namespace_of(container));
        Ok(Observation { namespace, ..output.into() })
    }

    /// Executes an action in the node's IPC namespace, in the observer pod.
    fn on_host(&self, action: &Action) -> Result<StepOutcome, EngineError> {
        match self.ensure_observer_pod(None)? {
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
                *container != HOST && found.is_some_and(|it| it.is_active() && it.runs(&name))
            };
            known.containers.keys().copied().filter(runs).collect()
        };
        let running = self.with_record(|known| running(known));
        Ok(Observation { running: Some(running), ..output.into() })
    }

    fn with_record<T>(&self, access: impl FnOnce(&mut ClusterRecord) -> T) -> T {
        with(&self.known, access)
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
        let what = "the cluster refused a request".to_owned();
        let next_step = "change the cluster's policy, or use another namespace, --namespace NAME";
        CommandFailure::new(what, FailureKind::Rejected, output).with_next_step(next_step).into()
    }

    fn unsupported_reason(&self, action: &Action) -> Option<&'static str> {
        match action {
            Action::KillSandbox if self.cluster.kill_sandbox.is_none() => {
                Some("kubectl cannot kill a sandbox: give a command, --kill-sandbox COMMAND")
            }
            Action::RestartKubelet if self.cluster.restart_kubelet.is_none() => {
                Some("kubectl cannot restart a kubelet: give a command, --restart-kubelet COMMAND")
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
            _ => Some("Kubernetes has no such operation"),
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
        let stray = self.remove_from_node(&client);
        let count = self.with_record(|known| known.pods.len());
        let entries = self.tools.ledger.of_run(&self.run);
        let removal = Removal::new(&client, &self.run, &entries);
        removal.remove(&removal.find()?, self.owner == NamespaceOwner::Shared)?;
        stray?;
        self.tools.ledger.forget(|entry| entry.run() == Some(&self.run));
        Ok(count)
    }
}
