//! Options that several commands have.

use std::num::NonZero;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::engine::EngineKind;
use crate::engine::kubernetes::Cluster;
use crate::process::interrupt::Interrupt;
use crate::process::name::{self, Name};

/// How long a step may take.
#[derive(Clone, Debug, Args)]
pub struct TimeoutArgs {
    /// How long each command of a step may take; what does not end by then is killed, and the run
    /// ends [default: 60, and 120 for a pod or a kubelet to be ready]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
}

impl TimeoutArgs {
    /// The interruption, with this time limit.
    #[must_use]
    pub fn limit(&self, interrupt: &Interrupt) -> Interrupt {
        interrupt.with_limit(self.timeout.map(Duration::from_secs))
    }
}

/// Which cluster is used, and how; kubectl's own defaults hold.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct ClusterArgs {
    /// Configuration file for kubectl to use
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,

    /// Context of that configuration
    #[arg(long, value_name = "NAME")]
    pub context: Option<Name<name::Context>>,

    /// Namespace that is there, to make the pods in; else one is made and deleted
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<Name<name::Label>>,

    /// Image with the tools in it, that the nodes have or can pull
    #[arg(long, value_name = "REF")]
    pub image: Option<Name<name::Image>>,

    /// Node for all pods to be on
    #[arg(long, value_name = "NAME")]
    pub node: Option<Name<name::Subdomain>>,

    /// Shell command that kills the sandbox of a pod, which kubectl has no word for; it finds
    /// NAMESPACE, POD and NODE in its environment
    #[arg(long, value_name = "COMMAND")]
    pub kill_sandbox: Option<String>,

    /// Shell command that restarts the kubelet of NODE, for which kubectl has no word either, and
    /// ends; while the kubelet is away no container of that node can be started, ended or entered
    #[arg(long, value_name = "COMMAND")]
    pub restart_kubelet: Option<String>,
}

impl ClusterArgs {
    /// The cluster that they describe.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster {
            access: self.access(),
            namespace: self.namespace.clone(),
            image: self.image.clone(),
            node: self.node.clone(),
            kill_sandbox: self.kill_sandbox.clone(),
            restart_kubelet: self.restart_kubelet.clone(),
        }
    }

    /// The options that are kubectl's own.
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

/// What an experiment on a cluster takes besides.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct NodesArgs {
    /// Nodes to run it on, each with pods of its own: all, or names with commas between
    #[arg(long, value_name = "NODES", value_delimiter = ',', conflicts_with = "node")]
    pub nodes: Vec<Name<name::Subdomain>>,

    /// Nodes at the same time
    #[arg(long, value_name = "NUMBER", default_value = "8")]
    pub jobs: NonZero<usize>,

    /// Print the manifests of the pods and run nothing
    #[arg(long)]
    pub show_manifests: bool,
}

/// An engine, or the first that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// The first that can be used.
    Auto,
    /// This one.
    Kind(EngineKind),
}

impl EngineChoice {
    /// The engine that was named.
    #[must_use]
    pub fn kind(self) -> Option<EngineKind> {
        match self {
            Self::Auto => None,
            Self::Kind(kind) => Some(kind),
        }
    }
}

impl ValueEnum for EngineChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Auto,
            Self::Kind(EngineKind::Docker),
            Self::Kind(EngineKind::Podman),
            Self::Kind(EngineKind::Kubernetes),
            Self::Kind(EngineKind::Namespaces),
            Self::Kind(EngineKind::Model),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Auto => Some(PossibleValue::new("auto").help("The first of these that answers")),
            Self::Kind(kind) => kind.to_possible_value(),
        }
    }
}
