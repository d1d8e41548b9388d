//! The command line.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
use shm_core::Key;

use crate::bench::measurement::Group;
use crate::bench::report::Form;
use crate::engine::EngineKind;
use crate::engine::image::SCRATCH;
use crate::engine::kubernetes::Cluster;
use crate::interrupt::Interrupt;
use crate::name::{self, Name};
use crate::report::Format;

mod usage;

/// Shows what container engines do to shared memory.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
#[command(
    after_help = "Exit status: 0 all as predicted; 1 something differs or is unproven; 2 the run \
                        failed or was disturbed; 130 interrupted (128 + the signal's number)."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry the article's experiment out, step by step, checked
    Experiment(ExperimentArgs),
    /// Ask every mechanism, sharing mode, event and observer, and hold the answers to the model
    Matrix(MatrixArgs),
    /// Measure what the tools and the experiment cost, beside what others take for the same
    Bench(BenchArgs),
    /// Build the static tools, with completions and manual pages, into dist/
    Dist,
    /// Remove what killed runs have left, and only that
    Clean(CleanArgs),
}

/// The command line of `clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The command line of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum, value_name = "GROUP")]
    #[arg(default_values_t = [Group::Process, Group::Data, Group::Messages, Group::Experiment])]
    pub groups: Vec<Group>,

    /// How often to measure both sides, in turn, after a warm-up; of what takes seconds, less often. One pair has
    /// no warm-up
    #[arg(long, value_name = "NUMBER", default_value = "15")]
    pub pairs: NonZero<usize>,

    /// Form of the table
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub format: Form,

    /// Write the table to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The command line of `experiment`.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// Engine to use; auto takes docker if its daemon answers, else podman, else namespaces
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineChoice,

    /// OCI runtime for docker and podman to use, such as runc, crun or runsc
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<Name<name::Runtime>>,

    /// Image to put the tools into; with any but scratch, bash is the container's process and the
    /// image's own ipcs lists, as in the article
    #[arg(long, value_name = "IMAGE", default_value = SCRATCH)]
    pub base: Name<name::Image>,

    /// The cluster, for --engine kubernetes.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Its nodes.
    #[command(flatten)]
    pub nodes: NodesArgs,

    /// Key of the segments, decimal or 0x hexadecimal; it must be unused on the host
    #[arg(long, value_name = "KEY", default_value_t = Key::DEFAULT, allow_hyphen_values = true)]
    pub key: Key,

    /// Containers, each with a text of its own; the article has two
    #[arg(long, value_name = "NUMBER", default_value = "2")]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=64))]
    pub containers: u8,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How long a step may take.
    #[command(flatten)]
    pub timeout: TimeoutArgs,

    /// Leave the containers for a look; `cargo xtask clean` removes them
    #[arg(long)]
    pub keep: bool,
}

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

/// The command line of `matrix`.
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// Engine to use; auto takes docker if its daemon answers, else podman, else namespaces. Several
    /// go into one report
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: Vec<EngineChoice>,

    /// OCI runtime for docker and podman to use, such as runc, crun or runsc
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<Name<name::Runtime>>,

    /// Only these cells: mechanism/sharing/event/observer; * stands for any, and the end may be
    /// left out
    #[arg(long, value_name = "PATTERN")]
    pub only: Option<String>,

    /// Print the names of the cells and run nothing
    #[arg(long)]
    pub list: bool,

    /// Scripts to carry out at the same time
    #[arg(long, value_name = "NUMBER", default_value = "3")]
    pub jobs: NonZero<usize>,

    /// How often to carry out each script; a cell that does not always answer the same is unstable
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub repeat: NonZero<usize>,

    /// How long a step may take.
    #[command(flatten)]
    pub timeout: TimeoutArgs,

    /// The cluster, for --engine kubernetes.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Write the report to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
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
