//! The arguments of `docker run` for a script's containers.

use std::path::Path;

use crate::engine::{EngineInfo, EngineKind};
use crate::script::{Container, Setting, Sharing};

/// The mount point of the volume that all containers of a script share.
pub(super) const VOLUME: &str = "/shared";

/// Options that take away all privileges that the tools do not need.
pub(crate) const HARDENED: [&str; 7] = [
    "--network",
    "none",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
];

/// Returns the `run` command with the runtime, which is a global option of podman.
pub(super) fn runtime(info: &EngineInfo) -> Vec<&str> {
    with_runtime(info, "run")
}

/// Returns the start of the command that creates a container, `run` or `create`. The container runs
/// in the background.
pub(super) fn creation<'a>(info: &'a EngineInfo, command: &'a str) -> Vec<&'a str> {
    let mut args = with_runtime(info, command);
    if command == "run" {
        args.push("--detach");
    }
    args
}

fn with_runtime<'a>(info: &'a EngineInfo, command: &'a str) -> Vec<&'a str> {
    match (&info.runtime, info.name) {
        (None, _) => vec![command],
        (Some(runtime), EngineKind::Podman) => vec!["--runtime", &**runtime, command],
        (Some(runtime), _) => vec![command, "--runtime", &**runtime],
    }
}

/// Returns the options for a mode; `name` returns a container's name on the engine.
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

/// Returns the name of the pod with this sandbox.
pub(super) fn pod(sandbox: &str) -> String {
    format!("{sandbox}-pod")
}

/// Returns the options for a setting.
pub(super) fn setting(setting: Setting) -> Vec<String> {
    match setting {
        Setting::Sysctl(sysctl, value) => {
            vec!["--sysctl".to_owned(), format!("{}={value}", sysctl.name())]
        }
        Setting::ShmSize(size) => vec!["--shm-size".to_owned(), size.to_string()],
        Setting::Memory(size) => {
            // Without swap: the kernel must kill the process, not swap its memory out.
            let size = size.to_string();
            vec!["--memory".to_owned(), size.clone(), "--memory-swap".to_owned(), size]
        }
        Setting::RestartPolicy => ["--restart", "always"].map(str::to_owned).to_vec(),
        // Only Kubernetes has it, as a volume of a pod.
        Setting::ShmVolume => vec![],
    }
}

/// Returns the options that mount the folder that all containers of a script share.
pub(super) fn volume(folder: Option<&Path>) -> Vec<String> {
    let Some(folder) = folder else { return vec![] };
    vec!["--volume".to_owned(), format!("{}:{VOLUME}", folder.to_string_lossy())]
}
