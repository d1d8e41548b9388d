//! Options that several commands share.

use std::num::NonZero;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::engine::EngineKind;
use crate::engine::kubernetes::Cluster;
use crate::process::interrupt::Interrupt;
use crate::process::name::{self, CheckedName};

/// The time limit of a command.
#[derive(Clone, Debug, Args)]
pub struct TimeoutArgs {
    /// Time limit for each command of a step; a command that takes longer is killed, and the run
    /// ends [default: 60; 600 for the build of the image; 120 for a pod or a kubelet to become
    /// ready; 240 for the removal of a pod]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
}

impl TimeoutArgs {
    /// Returns `interrupt` with this time limit.
    pub(crate) fn limit(&self, interrupt: &Interrupt) -> Interrupt {
        interrupt.with_limit(self.timeout.map(Duration::from_secs))
    }
}

/// The cluster and how to use it. Without options, kubectl's defaults apply.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct ClusterArgs {
    /// Configuration file for kubectl to use
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,

    /// Context in kubectl's configuration
    #[arg(long, value_name = "NAME")]
    pub context: Option<CheckedName<name::Context>>,

    /// Existing namespace for the pods [default: a new one, which is deleted afterwards]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<CheckedName<name::Label>>,

    /// Image that contains the tools and that the nodes have or can pull
    #[arg(long, value_name = "REF")]
    pub image: Option<CheckedName<name::Image>>,

    /// Node that all pods run on
    #[arg(long, value_name = "NAME")]
    pub node: Option<CheckedName<name::Subdomain>>,

    /// Shell command that kills the sandbox of a pod, which kubectl cannot do; its environment has
    /// NAMESPACE, POD and NODE
    #[arg(long, value_name = "COMMAND")]
    pub kill_sandbox: Option<String>,

    /// Shell command that restarts the kubelet of NODE and then exits; while the kubelet is down,
    /// no container of that node can be started, stopped or entered
    #[arg(long, value_name = "COMMAND")]
    pub restart_kubelet: Option<String>,
}

impl ClusterArgs {
    /// Returns the cluster that the options describe.
    pub(crate) fn cluster(&self) -> Cluster {
        Cluster {
            access: self.access(),
            namespace: self.namespace.clone(),
            image: self.image.clone(),
            node: self.node.clone(),
            kill_sandbox: self.kill_sandbox.clone(),
            restart_kubelet: self.restart_kubelet.clone(),
        }
    }

    /// Returns the options to pass to kubectl.
    fn access(&self) -> Vec<String> {
        let mut access = Vec::new();
        if let Some(file) = &self.kubeconfig {
            access.extend(["--kubeconfig".to_owned(), file.clone()]);
        }
        if let Some(context) = &self.context {
            access.extend(["--context".to_owned(), context.to_string()]);
        }
        access
    }
}

/// Further options of an experiment on a cluster.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct NodesArgs {
    /// Nodes to run on, each with its own pods: all, or names separated by commas
    #[arg(long, value_name = "NODES", value_delimiter = ',', conflicts_with = "node")]
    pub nodes: Vec<CheckedName<name::Subdomain>>,

    /// Number of nodes to run on in parallel
    #[arg(long, value_name = "NUMBER", default_value = "8")]
    pub jobs: NonZero<usize>,

    /// Print the manifests of the pods and run nothing
    #[arg(long)]
    pub show_manifests: bool,
}

/// The `--engine` option: an engine, or `None` for `auto`, the first engine that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineChoice(pub(crate) Option<EngineKind>);

impl ValueEnum for EngineChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(None),
            Self(Some(EngineKind::Docker)),
            Self(Some(EngineKind::Podman)),
            Self(Some(EngineKind::Kubernetes)),
            Self(Some(EngineKind::Namespaces)),
            Self(Some(EngineKind::Model)),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self.0 {
            None => Some(PossibleValue::new("auto").help("The first usable engine")),
            Some(kind) => kind.to_possible_value(),
        }
    }
}
