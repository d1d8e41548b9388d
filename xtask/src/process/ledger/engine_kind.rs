//! The kinds of engines.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

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
