//! Detection of the engines that can be used.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::dist::Dist;
use super::image::{Image, SCRATCH};
use super::kubernetes::client::kubectl;
use super::kubernetes::{self, Cluster};
use super::{
    EngineError, EngineInfo, EngineKind, FailureKind, Kernels, docker, hints, kernel_release,
};
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, InvocationError};
use crate::process::ledger::Ledger;
use crate::process::name::{CheckedName, Runtime};
use crate::process::untrusted::Untrusted;

/// An engine that can be used.
#[derive(Debug)]
pub struct Detected {
    /// The description of the engine for reports.
    pub info: EngineInfo,
    /// How the engine is used.
    pub means: Means,
}

/// How an engine is used.
#[derive(Clone, Debug)]
pub enum Means {
    /// The model, in this program.
    Model,
    /// A program with Docker's command line.
    Program(&'static str),
    /// A cluster, with kubectl.
    Cluster(Cluster),
    /// Plain namespaces, with `unshare` and `nsenter`.
    Namespaces {
        /// Whether to create user namespaces, because this program is not root.
        user: bool,
    },
}

/// The time limit for an engine's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The user's choice of an engine.
#[derive(Debug)]
pub struct Query<'a> {
    /// The kind; `None` selects the first that runs a container of ours, else plain namespaces.
    pub kind: Option<EngineKind>,
    /// The OCI runtime that runs the containers; `None` for the engine's default.
    pub runtime: Option<&'a CheckedName<Runtime>>,
    /// The cluster, for Kubernetes.
    pub cluster: &'a Cluster,
    /// The base image for the tools.
    pub base: &'a str,
    /// Records the container that `None` starts on each engine.
    pub ledger: &'a Ledger,
    /// The signals and the time limit of the search.
    pub interrupt: &'a Interrupt,
}

/// The fields of `version --format '{{json .}}'` that docker and podman share.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Version,
    server: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: Untrusted,
}

/// Finds the requested engine.
///
/// # Errors
///
/// [`EngineError::Unusable`] where it cannot be used, with the reason and the next step. With
/// `None`, also if the tools cannot be built.
pub fn find(wanted: &Query<'_>) -> Result<Detected> {
    let chosen = Untrusted::from("asked for");
    if let (Some(runtime), Some(kind)) = (wanted.runtime, wanted.kind)
        && !matches!(kind, EngineKind::Docker | EngineKind::Podman)
    {
        bail!(
            "--runtime {runtime} is for docker and podman\n\
             next step: omit it, or use one of them instead of {kind}"
        );
    }
    Ok(match wanted.kind {
        Some(EngineKind::Model) => model(),
        Some(EngineKind::Namespaces) => namespaces(wanted, chosen)?,
        Some(EngineKind::Kubernetes) => kubernetes(wanted, chosen)?,
        Some(kind) => container_engine(kind, wanted, chosen)?,
        None => automatic(wanted)?,
    })
}

/// Returns the model, which is always usable.
#[must_use]
pub fn model() -> Detected {
    let (version, kernel) = (env!("CARGO_PKG_VERSION").into(), "the model's".into());
    detected(EngineKind::Model, version, kernel, "asked for".into(), Means::Model)
}

/// Returns an engine with its default runtime.
fn detected(
    name: EngineKind,
    version: Untrusted,
    kernel: Untrusted,
    chosen: Untrusted,
    means: Means,
) -> Detected {
    let kernels = Kernels::Shared;
    let (runtime, remaps_users) = (None, false);
    let info = EngineInfo { name, version, kernel, runtime, kernels, remaps_users, chosen };
    Detected { info, means }
}

fn unusable(
    kind: EngineKind,
    why: impl Into<Untrusted>,
    next_step: impl Into<String>,
) -> EngineError {
    EngineError::Unusable { kind, why: why.into(), next_step: next_step.into() }
}

/// Returns docker if it runs a container of ours, else podman if it does, else plain namespaces.
fn automatic(wanted: &Query<'_>) -> Result<Detected> {
    let mut passed_over = Vec::new();
    for kind in [EngineKind::Docker, EngineKind::Podman] {
        let chosen = [&passed_over[..], &[format!("{kind} runs containers")]].concat().join("; ");
        match running(kind, wanted, chosen.into())? {
            Ok(found) => return Ok(found),
            Err(why) => passed_over.push(format!("{kind}: {why}")),
        }
    }
    let option = match wanted.runtime {
        Some(_) => Some("--runtime"),
        None => (wanted.base != SCRATCH).then_some("--base"),
    };
    if let Some(option) = option {
        let next_step = format!("make one of them run containers, or omit {option}");
        let why = format!("neither docker nor podman: {}", passed_over.join("; "));
        return Err(unusable(EngineKind::Docker, why, next_step).into());
    }
    let chosen = format!("{}; namespaces need no engine", passed_over.join("; "));
    namespaces(wanted, chosen.into()).map_err(|error| match error {
        EngineError::Unusable { kind, why, next_step } => {
            passed_over.push(format!("{kind}: {why}"));
            unusable(kind, passed_over.join("; "), next_step).into()
        }
        error => error.into(),
    })
}

/// Builds the tools and returns docker or podman if it runs a container of them, else the reason
/// why not. An engine that answers may be unable to start any container.
///
/// # Errors
///
/// If the tools cannot be built, the ledger cannot be written, or a signal interrupts this program.
pub fn running(
    kind: EngineKind,
    wanted: &Query<'_>,
    chosen: Untrusted,
) -> Result<Result<Detected, String>> {
    let found = match container_engine(kind, wanted, chosen) {
        Err(EngineError::Unusable { why, .. }) => return Ok(Err(why.to_string())),
        answer => answer?,
    };
    let (info, ledger, interrupt) = (&found.info, wanted.ledger, wanted.interrupt);
    let Means::Program(program) = found.means else { return Ok(Ok(found)) };
    let image = Image::new(&Dist::current(interrupt)?, wanted.base)?;
    let ran = docker::client::current(info.name, program, interrupt)
        .and_then(|at| docker::probe::run_container(info, &at, &image, ledger, interrupt));
    Ok(match ran {
        Ok(_) => Ok(found),
        Err(EngineError::Failed(it)) => Err(format!("{}: {}", it.what, it.output.stderr_tail())),
        Err(error @ EngineError::Unexpected { .. }) => Err(error.to_string()),
        Err(EngineError::Invocation(error @ InvocationError::TimedOut { .. })) => {
            Err(error.to_string())
        }
        Err(error) => return Err(error.into()),
    })
}

fn container_engine(
    kind: EngineKind,
    wanted: &Query<'_>,
    chosen: Untrusted,
) -> Result<Detected, EngineError> {
    let program = if kind == EngineKind::Podman { "podman" } else { "docker" };
    let asked = Invocation::new(program, ["version", "--format", "{{json .}}"]).timeout(PATIENCE);
    let check = format!("run `{}` and check its output", asked.command_line());
    let output = match asked.run(wanted.interrupt) {
        Err(InvocationError::NotFound { .. }) => {
            let why = format!("{program} is not installed, or not in PATH");
            let next_step = "install it, or use --engine namespaces, which needs no engine";
            return Err(unusable(kind, why, next_step));
        }
        Err(error) if !error.is_interruption() => {
            return Err(unusable(kind, error.to_string(), check));
        }
        answer => answer?,
    };
    if !output.succeeded() {
        let answer = output.stderr_tail();
        let next_step = match docker::failure::classify(&output) {
            _ if kind == EngineKind::Podman => hints::of_message(&answer.to_string()).unwrap_or(
                "run `podman info` and mend what it names, or use --engine namespaces, which needs \
                 no engine",
            ),
            FailureKind::NotPermitted => hints::NOT_PERMITTED,
            _ => hints::of_ssh(&answer.to_string()).unwrap_or(
                "start its daemon (systemctl start docker), check that DOCKER_HOST or the context \
                 names the right one, or use --engine namespaces, which needs no engine",
            ),
        };
        return Err(unusable(kind, answer, next_step));
    }
    let versions: Versions = serde_json::from_slice(&output.stdout).map_err(|_| {
        let answer = output.stderr_tail();
        unusable(kind, format!("unexpected output: {answer}"), check)
    })?;
    let (name, version) = match versions.server {
        Some(server) => {
            (kind, format!("{} (client {})", server.version, versions.client.version).into())
        }
        // Podman has no daemon, also where it is installed as `docker`.
        None => (EngineKind::Podman, versions.client.version),
    };
    let mut found = detected(name, version, kernel_release(), chosen, Means::Program(program));
    found.info.runtime = wanted.runtime.cloned();
    Ok(found)
}

/// The output of `kubectl version --output json`, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterVersions {
    server_version: Option<GitVersion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GitVersion {
    git_version: Untrusted,
}

fn kubernetes(wanted: &Query<'_>, chosen: Untrusted) -> Result<Detected, EngineError> {
    let (kind, cluster) = (EngineKind::Kubernetes, wanted.cluster);
    if cluster.image.is_none() {
        let why = "the nodes need an image with the tools";
        let next_step = "build it (cargo xtask dist; \
                         docker build -t REF --build-arg BASE=scratch .), push it or load it into \
                         the nodes, and give --image REF";
        return Err(unusable(kind, why, next_step));
    }
    let version = ["version", "--output", "json", "--request-timeout", "8s"];
    let asked = kubectl(&cluster.access(), &version).timeout(PATIENCE);
    let output = match asked.run(wanted.interrupt) {
        Err(InvocationError::NotFound { program }) => {
            let why = format!("{program} is not installed, or not in PATH");
            return Err(unusable(kind, why, "install kubectl"));
        }
        Err(error @ InvocationError::TimedOut { .. }) => {
            return Err(unusable(kind, error.to_string(), "check that the API server runs"));
        }
        answer => answer?,
    };
    let versions: Option<ClusterVersions> = serde_json::from_slice(&output.stdout).ok();
    let Some(version) = versions.and_then(|it| it.server_version) else {
        let next_step = if kubernetes::failure::classify(&output) == FailureKind::NotLoggedIn {
            "log in to the cluster again: its token is missing or has expired"
        } else {
            "start the cluster, or select another one: --context NAME, --kubeconfig FILE"
        };
        return Err(unusable(kind, output.stderr_tail(), next_step));
    };
    let kernel = match &cluster.node {
        None => "the nodes'".into(),
        Some(name) => kernel_of_node(name, cluster, wanted.interrupt)?,
    };
    Ok(detected(kind, version.git_version, kernel, chosen, Means::Cluster(cluster.clone())))
}

/// Returns the kernel's release on the requested node. Fails if the node accepts no pods: pods with
/// a node name bypass the scheduler, which would refuse them.
fn kernel_of_node(
    name: &str,
    cluster: &Cluster,
    interrupt: &Interrupt,
) -> Result<Untrusted, EngineError> {
    let node = cluster.named_node(name, interrupt)?;
    match node.unfit {
        None => Ok(node.kernel),
        Some(why) => Err(unusable(
            EngineKind::Kubernetes,
            format!("node {name} is {why}"),
            "name another node (kubectl get nodes), or omit --node to have one chosen",
        )),
    }
}

fn namespaces(wanted: &Query<'_>, chosen: Untrusted) -> Result<Detected, EngineError> {
    if wanted.base != SCRATCH {
        let why = format!("--base {} needs an engine with images", wanted.base);
        let next_step = "use --engine docker or podman, or omit --base";
        return Err(unusable(EngineKind::Namespaces, why, next_step));
    }
    let kind = EngineKind::Namespaces;
    let ask = |args: &[&str]| {
        let asked = Invocation::new("unshare", args.iter().copied()).timeout(PATIENCE);
        asked.run(wanted.interrupt).map_err(|error| match error {
            InvocationError::NotFound { program } => {
                let next_step = "install util-linux, which has unshare and nsenter";
                unusable(kind, format!("{program} is not installed"), next_step)
            }
            error if error.is_interruption() => error.into(),
            error => {
                let next_step = format!("run `{}` and check its output", asked.command_line());
                unusable(kind, error.to_string(), next_step)
            }
        })
    };
    let version = ask(&["--version"])?.text();
    let refusal = |args: &[&str]| {
        let probe = ask(args)?;
        Ok::<_, EngineError>(if probe.succeeded() { None } else { Some(probe.stderr_tail()) })
    };
    let as_root = refusal(&["--ipc", "--mount", "true"])?;
    let user = as_root.is_some();
    if user && let Some(why) = refusal(&["--user", "--map-root-user", "--ipc", "--mount", "true"])?
    {
        let next_step = "run this as root, or allow user namespaces: sysctl \
                         user.max_user_namespaces=15000, and on Debian and Ubuntu \
                         kernel.unprivileged_userns_clone=1 and \
                         kernel.apparmor_restrict_unprivileged_userns=0";
        return Err(unusable(kind, why, next_step));
    }
    Ok(detected(kind, version, kernel_release(), chosen, Means::Namespaces { user }))
}
