//! The arguments with which Docker's command line makes a container as a script wants it.

use std::path::Path;

use crate::engine::{EngineInfo, EngineKind};
use crate::script::{Container, Setting, Sharing};

/// Where the volume is mounted that all containers of a script share.
pub(super) const VOLUME: &str = "/shared";

/// The least that a container can run with.
pub(crate) const HARDENED: [&str; 7] = [
    "--network",
    "none",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
];

/// The command that runs a container, with the runtime where one was asked for: podman takes it
/// for all commands, docker for this one.
pub(super) fn runtime(info: &EngineInfo) -> Vec<&str> {
    match (&info.runtime, info.name) {
        (None, _) => vec!["run"],
        (Some(runtime), EngineKind::Podman) => vec!["--runtime", &**runtime, "run"],
        (Some(runtime), _) => vec!["run", "--runtime", &**runtime],
    }
}

/// How it shares memory; `name` gives a container's name on the engine.
pub(super) fn sharing(sharing: Sharing, name: impl Fn(Container) -> String) -> Vec<String> {
    let mode = match sharing {
        Sharing::Default => return vec![],
        Sharing::Private | Sharing::HostShm => "private".to_owned(),
        Sharing::Shareable | Sharing::Sandbox => "shareable".to_owned(),
        Sharing::Container(donor) => format!("container:{}", name(donor)),
        Sharing::Host => "host".to_owned(),
        Sharing::None => "none".to_owned(),
        Sharing::Pod(sandbox) => return vec!["--pod".to_owned(), pod(&name(sandbox))],
    };
    let mut args = vec!["--ipc".to_owned(), mode];
    if sharing == Sharing::HostShm {
        args.extend(["--volume", "/dev/shm:/dev/shm"].map(str::to_owned));
    }
    args
}

/// The name of a pod, by that of its sandbox.
pub(super) fn pod(sandbox: &str) -> String {
    format!("{sandbox}-pod")
}

/// What else it is given.
pub(super) fn setting(setting: Setting) -> Vec<String> {
    match setting {
        Setting::Sysctl(sysctl, value) => {
            vec!["--sysctl".to_owned(), format!("{}={value}", sysctl.name())]
        }
        Setting::ShmSize(size) => vec!["--shm-size".to_owned(), size.to_string()],
        Setting::Memory(size) => {
            // Without swap: what does not fit is to be killed, not moved out.
            let size = size.to_string();
            vec!["--memory".to_owned(), size.clone(), "--memory-swap".to_owned(), size]
        }
        Setting::RestartPolicy => ["--restart", "always"].map(str::to_owned).to_vec(),
        // Volumes of pods are made with them, on a cluster.
        Setting::ShmVolume => vec![],
    }
}

/// The folder that all containers of a script share.
pub(super) fn volume(folder: Option<&Path>) -> Vec<String> {
    let Some(folder) = folder else { return vec![] };
    vec!["--volume".to_owned(), format!("{}:{VOLUME}", folder.to_string_lossy())]
}
