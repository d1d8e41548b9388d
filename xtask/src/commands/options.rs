//! Options that several commands share.

use std::num::NonZero;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::engine::EngineKind;
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
