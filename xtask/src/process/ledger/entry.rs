//! What a ledger can name.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::EngineKind;
use crate::process::labels::RunId;
use crate::process::name::{Id, Name};
use crate::process::untrusted::Untrusted;

/// A thing that a run makes outside of this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A container. It carries the run's id as a label.
    Container {
        /// Where it is.
        engine: EngineAt,
        /// Its run.
        run: RunId,
        /// Its name there.
        name: String,
    },
    /// A pod of podman's, with all containers in it. It carries the run's id as a label.
    Pod {
        /// Where it is.
        engine: EngineAt,
        /// Its run.
        run: RunId,
        /// Its name there.
        name: String,
    },
    /// An image that a run has built. It stays for the next run.
    Image {
        /// Where it is.
        engine: EngineAt,
        /// Its id.
        id: Name<Id>,
        /// Its name, in our own repository.
        tag: String,
        /// The image that it is built on.
        base: String,
        /// The checkout that its tools are from.
        checkout: PathBuf,
    },
    /// A process. It carries the run's id in its environment.
    Process {
        /// Its run.
        run: RunId,
        /// Its id.
        pid: u32,
        /// When it was started, in clock ticks after boot: no other process of this id has the same.
        started: u64,
    },
    /// Objects that a run may leave on the host: those of containers that share the host's IPC namespace
    /// or `/dev/shm`, and those of controls on the host.
    Memory(LeftoverManifest),
    /// A folder whose name ends in the run's id.
    Folder {
        /// Its run.
        run: RunId,
        /// Its place.
        path: PathBuf,
    },
    /// An object of a cluster. It carries the run's id as a label.
    Object {
        /// Where it is.
        cluster: ClusterAt,
        /// Its run.
        run: RunId,
        /// The namespace that it is in; of a namespace, itself.
        namespace: String,
        /// Its kind in lower case, such as `pod` or `deployment`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The same as `Memory`, on the node of a pod that sees it.
    NodeMemory {
        /// Where the pod is.
        cluster: ClusterAt,
        /// Its run.
        run: RunId,
        /// Its namespace.
        namespace: String,
        /// Its name.
        pod: String,
        /// What may be left.
        left: LeftoverManifest,
    },
}

/// Objects of every mechanism that hold a run's text, under its keys and under the names made of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftoverManifest {
    /// A random text.
    pub text: String,
    /// Random keys that were free before the run.
    pub keys: Vec<i32>,
}

impl Entry {
    /// The run whose id the thing carries; `None` where it carries none.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
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

/// An engine: the client's program, what makes it talk to this engine, and the engine's own identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineAt {
    /// What it is; podman's client may have docker's name.
    pub kind: EngineKind,
    /// The client's program.
    pub program: String,
    /// The variables that say where the client finds the engine.
    pub environment: BTreeMap<String, String>,
    /// What the engine says of itself, so that another one is not taken for it.
    pub identity: Untrusted,
}

/// A cluster: how kubectl finds it, and the address that it has then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAt {
    /// The options with which kubectl finds it.
    pub access: Vec<String>,
    /// The variables that say where kubectl's configuration is.
    pub environment: BTreeMap<String, String>,
    /// The API server's address, so that another cluster is not taken for it.
    pub server: Untrusted,
}

/// Those of the variables that are set.
pub(super) fn set(names: &[&str]) -> BTreeMap<String, String> {
    let value = |name: &&str| Some(((*name).to_owned(), env::var(name).ok()?));
    names.iter().filter_map(value).collect()
}

impl EngineAt {
    /// The variables that say where a client finds its engine (docker's and podman's manuals).
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

    /// The engine that `program` talks to now, which says this of itself.
    #[must_use]
    pub fn current(kind: EngineKind, program: &str, identity: Untrusted) -> Self {
        let program = program.to_owned();
        Self { kind, program, environment: set(&Self::VARIABLES), identity }
    }
}

impl ClusterAt {
    /// The cluster that kubectl finds with these options now, at this address.
    #[must_use]
    pub fn current(access: Vec<String>, server: Untrusted) -> Self {
        Self { access, environment: set(&["KUBECONFIG"]), server }
    }
}
