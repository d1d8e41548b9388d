//! Which engine there is, and why one cannot be used.

use serde::Deserialize;
use shm_core::Key;

use super::docker::Docker;
use super::image::{Image, SCRATCH};
use super::model::Model;
use super::namespaces::Namespaces;
use super::{Engine, EngineError, EngineInfo, EngineKind, kernel_release};
use crate::dist::Dist;
use crate::interrupt::Interrupt;
use crate::invocation::{Invocation, InvocationError};

/// What a run needs of its engine.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The kind; `None` takes the first that can be used.
    pub kind: Option<EngineKind>,
    /// The image that the tools go into.
    pub base: &'a str,
    /// The key of all segments.
    pub key: Key,
    /// The tools.
    pub dist: &'a Dist,
    /// What may end the run.
    pub interrupt: &'a Interrupt,
}

/// `docker version --format '{{json .}}'`, and podman's, as far as they agree.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Version,
    server: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
}

/// Finds the engine that is wanted.
///
/// # Errors
///
/// [`EngineError::Unusable`] where it cannot be used, with the reason and the next step.
pub fn engine(wanted: &Wanted<'_>) -> Result<Box<dyn Engine>, EngineError> {
    match wanted.kind {
        Some(EngineKind::Model) => Ok(Box::new(Model::new(wanted.key))),
        Some(EngineKind::Namespaces) => namespaces(wanted, "asked for".to_owned()),
        Some(kind) => container_engine(kind, wanted, "asked for".to_owned()),
        None => automatic(wanted),
    }
}

/// Docker if its daemon answers, else podman, else plain namespaces.
fn automatic(wanted: &Wanted<'_>) -> Result<Box<dyn Engine>, EngineError> {
    let mut passed_over = Vec::new();
    for kind in [EngineKind::Docker, EngineKind::Podman] {
        let mut reasons: Vec<_> = passed_over.clone();
        reasons.push(format!("{kind} answers"));
        match container_engine(kind, wanted, reasons.join("; ")) {
            Err(EngineError::Unusable { why, .. }) => passed_over.push(format!("{kind}: {why}")),
            answer => return answer,
        }
    }
    passed_over.push("namespaces need no engine".to_owned());
    namespaces(wanted, passed_over.join("; "))
}

fn container_engine(
    kind: EngineKind,
    wanted: &Wanted<'_>,
    chosen: String,
) -> Result<Box<dyn Engine>, EngineError> {
    let program = if kind == EngineKind::Podman { "podman" } else { "docker" };
    let unusable = |why: &str, next_step: &str| EngineError::Unusable {
        kind,
        why: why.to_owned(),
        next_step: next_step.to_owned(),
    };
    let asked = Invocation::new(program, ["version", "--format", "{{json .}}"]);
    let transcript = match asked.run(wanted.interrupt) {
        Err(InvocationError::NotFound { .. }) => {
            let why = format!("{program} is not installed, or not in PATH");
            return Err(unusable(
                &why,
                "install it, or take --engine namespaces, which needs none",
            ));
        }
        answer => answer?,
    };
    if !transcript.succeeded() {
        let said = transcript.last_words();
        let next_step = if said.contains("permission denied") {
            "join the group that may use its socket (usermod -aG docker $USER, then log in \
             again), or run this as root"
        } else {
            "start its daemon (systemctl start docker), or take --engine namespaces, which needs \
             none"
        };
        return Err(unusable(&said, next_step));
    }
    let versions: Versions = serde_json::from_slice(&transcript.stdout).map_err(|_| {
        EngineError::Unexpected { command: transcript.command_line(), answer: transcript.text() }
    })?;
    let (name, version) = match versions.server {
        Some(server) => (kind, format!("{} (client {})", server.version, versions.client.version)),
        // Podman has no daemon, under the name of docker either.
        None => (EngineKind::Podman, versions.client.version),
    };
    let info = EngineInfo { name, version, kernel: kernel_release(), chosen };
    let image = Image::new(wanted.dist, wanted.base)?;
    let (dist, interrupt) = (wanted.dist.clone(), wanted.interrupt.clone());
    Ok(Box::new(Docker::new(info, program, image, dist, wanted.key, interrupt)))
}

fn namespaces(wanted: &Wanted<'_>, chosen: String) -> Result<Box<dyn Engine>, EngineError> {
    if wanted.base != SCRATCH {
        return Err(EngineError::Script(format!(
            "--base {} needs an engine with images: take --engine docker or podman, or leave \
             --base out",
            wanted.base
        )));
    }
    let kind = EngineKind::Namespaces;
    let unusable = |why, next_step| EngineError::Unusable { kind, why, next_step };
    let version = match Invocation::new("unshare", ["--version"]).run(wanted.interrupt) {
        Err(InvocationError::NotFound { program }) => {
            let next_step = "install util-linux, which has unshare and nsenter".to_owned();
            return Err(unusable(format!("{program} is not installed"), next_step));
        }
        answer => answer?.text(),
    };
    let refusal = |args: &[&str]| {
        let probe = Invocation::new("unshare", args.iter().copied()).run(wanted.interrupt)?;
        Ok::<_, EngineError>(if probe.succeeded() { None } else { Some(probe.last_words()) })
    };
    let as_root = refusal(&["--ipc", "--mount", "true"])?;
    let user = as_root.is_some();
    if user && let Some(why) = refusal(&["--user", "--map-root-user", "--ipc", "--mount", "true"])?
    {
        let next_step = "run this as root, or allow user namespaces: sysctl \
                         user.max_user_namespaces=15000, and on Debian and Ubuntu \
                         kernel.unprivileged_userns_clone=1 and \
                         kernel.apparmor_restrict_unprivileged_userns=0"
            .to_owned();
        return Err(unusable(why, next_step));
    }
    let info = EngineInfo { name: kind, version, kernel: kernel_release(), chosen };
    let (dist, interrupt) = (wanted.dist.clone(), wanted.interrupt.clone());
    Ok(Box::new(Namespaces::new(info, user, dist, wanted.key, interrupt)))
}
