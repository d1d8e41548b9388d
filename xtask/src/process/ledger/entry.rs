//! The entries of a ledger.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fmt};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::process::labels::RunId;
use crate::process::name::{CheckedName, Id};
use crate::process::untrusted::Untrusted;

/// A resource that a run makes outside of this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A container. It carries the run's id as a label.
    Container {
        /// Its engine.
        engine: EngineAt,
        /// Its run.
        run: RunId,
        /// Its name.
        name: String,
    },
    /// A podman pod with all its containers. It carries the run's id as a label.
    Pod {
        /// Its engine.
        engine: EngineAt,
        /// Its run.
        run: RunId,
        /// Its name.
        name: String,
    },
    /// An image that a run built. It is kept for the next run.
    Image {
        /// Its engine.
        engine: EngineAt,
        /// Its id.
        id: CheckedName<Id>,
        /// Its name, in the repository `shm_experiment`.
        tag: String,
        /// Its base image.
        base: String,
        /// The checkout of its tools.
        checkout: PathBuf,
    },
    /// A process. It carries the run's id in its environment.
    Process {
        /// Its run.
        run: RunId,
        /// Its id.
        pid: u32,
        /// Its start time in clock ticks after boot. It distinguishes processes with the same id.
        started: u64,
    },
    /// Objects that a run may leave on the host. Containers that share the host's IPC namespace or
    /// `/dev/shm` make them, and so do controls on the host.
    Memory(LeftoverManifest),
    /// A folder whose name ends in the run's id.
    Folder {
        /// Its run.
        run: RunId,
        /// Its path.
        path: PathBuf,
    },
    /// An object of a cluster. It carries the run's id as a label.
    Object {
        /// Its cluster.
        cluster: ClusterAt,
        /// Its run.
        run: RunId,
        /// Its namespace. For a namespace, its own name.
        namespace: String,
        /// Its kind in lower case, such as `pod` or `deployment`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The same as `Memory`, on the node of a pod that shares the node's IPC namespace.
    NodeMemory {
        /// The cluster of the pod.
        cluster: ClusterAt,
        /// Its run.
        run: RunId,
        /// The namespace of the pod.
        namespace: String,
        /// The name of the pod.
        pod: String,
        /// What may be left.
        left: LeftoverManifest,
    },
}

/// Objects of every mechanism that hold a run's text, under its keys or names derived from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftoverManifest {
    /// A random text.
    pub text: String,
    /// Random keys that were free before the run.
    pub keys: Vec<i32>,
}

impl Entry {
    /// Returns the run whose id the resource carries, or `None` if it carries none.
    pub(crate) fn run(&self) -> Option<&RunId> {
        match self {
            Self::Container { run, .. }
            | Self::Pod { run, .. }
            | Self::Process { run, .. }
            | Self::Folder { run, .. }
            | Self::Object { run, .. }
            | Self::NodeMemory { run, .. } => Some(run),
            Self::Image { .. } | Self::Memory(_) => None,
        }
    }
}

/// The kind of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Docker, through its command line
    Docker,
    /// Podman, through its command line
    Podman,
    /// A Kubernetes cluster, through kubectl
    Kubernetes,
    /// Plain Linux namespaces, through unshare and nsenter: no engine needed
    Namespaces,
    /// The model alone, which predicts and runs nothing
    Model,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Namespaces => "namespaces",
            Self::Model => "model",
        })
    }
}

/// An engine: the client's program, its connection settings, and the identity of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineAt {
    /// Its kind. The client of podman may be named docker.
    pub kind: EngineKind,
    /// The client's program.
    pub program: String,
    /// The environment variables with the client's connection settings.
    pub environment: BTreeMap<String, String>,
    /// The identity that the engine reports, which distinguishes it from other engines.
    pub identity: Untrusted,
}

/// A cluster: how kubectl connects to it, and its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAt {
    /// The connection options of kubectl.
    pub access: Vec<String>,
    /// The environment variables that name kubectl's configuration.
    pub environment: BTreeMap<String, String>,
    /// The API server's address, which distinguishes it from other clusters.
    pub server: Untrusted,
}

/// Returns those of the environment variables that are set.
fn set(names: &[&str]) -> BTreeMap<String, String> {
    let value = |name: &&str| Some(((*name).to_owned(), env::var(name).ok()?));
    names.iter().filter_map(value).collect()
}

impl EngineAt {
    /// The environment variables with connection settings (docker's and podman's manuals).
    pub const VARIABLES: [&str; 8] = [
        "CONTAINERS_CONF",
        "CONTAINER_CONNECTION",
        "CONTAINER_HOST",
        "DOCKER_CERT_PATH",
        "DOCKER_CONFIG",
        "DOCKER_CONTEXT",
        "DOCKER_HOST",
        "DOCKER_TLS_VERIFY",
    ];

    /// Returns the engine that `program` connects to now, and that reports this identity.
    #[must_use]
    pub fn current(kind: EngineKind, program: &str, identity: Untrusted) -> Self {
        let program = program.to_owned();
        Self { kind, program, environment: set(&Self::VARIABLES), identity }
    }
}

impl ClusterAt {
    /// Returns the cluster that kubectl connects to now with these options, at this address.
    pub(crate) fn current(access: Vec<String>, server: Untrusted) -> Self {
        Self { access, environment: set(&["KUBECONFIG"]), server }
    }
}
