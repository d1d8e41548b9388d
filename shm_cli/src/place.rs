//! Where this process runs: the engine of its container, its IPC namespace, and the mount at
//! `/dev/shm`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shm_core::IpcNamespace;
use shm_core::posix::DIRECTORY;

use crate::mounts::{self, Mount};

/// An engine that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// Kubernetes, with any container runtime.
    Kubernetes,
}

/// What was mounted at `/dev/shm`, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShmMount {
    /// The engine's own tmpfs, whose size an option of the engine sets.
    Engine,
    /// A tmpfs that was not made by the engine: `--tmpfs`, or the host's.
    Tmpfs,
    /// Another file system, or a directory of one: a volume.
    Volume,
    /// Nothing: `/dev/shm` is missing, or a directory of the file system around it.
    Nothing,
}

/// The place of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The engine of its container; `None` on a host, and if nothing shows the engine.
    pub engine: Option<EngineName>,
    /// Whether its IPC namespace is the initial one, that of the host.
    pub host_ipc: bool,
    /// What is mounted at `/dev/shm`.
    pub shm: ShmMount,
}

impl Place {
    /// Returns the place of this process. Without `/proc`, nothing is known of it.
    #[must_use]
    pub fn current() -> Self {
        let mounts = mounts::read().unwrap_or_default();
        let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            engine: engine_of_mounts(&mounts).or_else(|| engine_of_cgroup(&cgroup)),
            host_ipc: IpcNamespace::current().is_ok_and(|namespace| namespace.is_initial()),
            shm: shm_mount(&mounts),
        }
    }
}

/// The files that engines mount into each container. That `/.dockerenv` exists proves nothing: a virtual
/// machine that was made from an image has it too.
const FILES: [&str; 4] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"];

/// Returns the engine whose folder has the files that engines mount, such as `/etc/hosts`.
#[must_use]
pub fn engine_of_mounts(mounts: &[Mount]) -> Option<EngineName> {
    let is_of = |engine| {
        let mut own = mounts.iter().filter(|mount| FILES.contains(&&*mount.mount_point));
        own.any(|mount| engine_of_file(Path::new(&mount.root)) == Some(engine))
    };
    // CRI-O keeps its files where Podman does, but only a kubelet writes the hosts of a pod.
    let order = [EngineName::Kubernetes, EngineName::Podman, EngineName::Docker];
    order.into_iter().find(|engine| is_of(*engine))
}

/// Returns the engine that keeps a file at this path. A path can begin anywhere in the engine's
/// folder, because it is relative to the file system of the file.
fn engine_of_file(root: &Path) -> Option<EngineName> {
    let folder = root.parent()?;
    let is_id = |text: &OsStr| {
        text.len() == 64 && text.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit)
    };
    if root.ends_with("etc-hosts") || root.iter().any(|part| part == "io.containerd.grpc.v1.cri") {
        Some(EngineName::Kubernetes)
    } else if folder.ends_with("userdata") {
        Some(EngineName::Podman)
    } else if folder.file_name().is_some_and(is_id) && folder.parent()?.ends_with("containers") {
        Some(EngineName::Docker)
    } else {
        None
    }
}

/// Returns the engine that the text of `/proc/PID/cgroup` names. A container with a cgroup namespace
/// shows none.
#[must_use]
pub fn engine_of_cgroup(cgroup: &str) -> Option<EngineName> {
    let has = |part: &str| cgroup.contains(part);
    if has("/kubepods") {
        Some(EngineName::Kubernetes)
    } else if has("/libpod-") {
        Some(EngineName::Podman)
    } else if has("/docker/") || has("/docker-") {
        Some(EngineName::Docker)
    } else {
        None
    }
}

/// Returns what is mounted at `/dev/shm`.
#[must_use]
pub fn shm_mount(mounts: &[Mount]) -> ShmMount {
    // The last mount covers the others.
    let Some(mount) = mounts.iter().rfind(|mount| mount.mount_point == DIRECTORY) else {
        return ShmMount::Nothing;
    };
    match (&*mount.file_system, &*mount.root, &*mount.source) {
        ("tmpfs", "/", "shm") => ShmMount::Engine,
        ("tmpfs", "/", _) => ShmMount::Tmpfs,
        _ => ShmMount::Volume,
    }
}

#[cfg(test)]
mod tests {
    use super::{EngineName, ShmMount, engine_of_cgroup, engine_of_mounts, shm_mount};
    use crate::mounts::parse;

    const ID: &str = "13b7d66041f041683cccd7019c1a2951980a240b927309f3b939abe095842658";

    /// Returns `mountinfo` with one file that an engine mounted.
    fn file(root: &str, point: &str) -> String {
        format!("86 69 254:0 {root} {point} rw,relatime - ext4 /dev/vda rw\n")
    }

    #[test]
    fn the_engine_is_known_by_the_folder_of_the_files_that_it_mounts() {
        for (root, point, engine) in [
            (format!("/var/lib/docker/containers/{ID}/hosts"), "/etc/hosts", EngineName::Docker),
            // The folder of Docker is a file system of its own.
            (format!("/containers/{ID}/resolv.conf"), "/etc/resolv.conf", EngineName::Docker),
            (
                format!("/run/containers/storage/overlay-containers/{ID}/userdata/hosts"),
                "/etc/hosts",
                EngineName::Podman,
            ),
            (
                format!("/storage/overlay-containers/{ID}/userdata/.containerenv"),
                "/run/.containerenv",
                EngineName::Podman,
            ),
            (
                "/var/lib/kubelet/pods/6f1d/etc-hosts".to_owned(),
                "/etc/hosts",
                EngineName::Kubernetes,
            ),
            (
                format!("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname"),
                "/etc/hostname",
                EngineName::Kubernetes,
            ),
        ] {
            let mounts = parse(&file(&root, point));
            assert_eq!(engine_of_mounts(&mounts), Some(engine), "{root}");
        }
    }

    #[test]
    fn a_pod_of_cri_o_is_not_taken_for_podman() {
        let hostname = format!("/run/containers/storage/overlay-containers/{ID}/userdata/hostname");
        let text = file(&hostname, "/etc/hostname")
            + &file("/var/lib/kubelet/pods/6f1d/etc-hosts", "/etc/hosts");
        assert_eq!(engine_of_mounts(&parse(&text)), Some(EngineName::Kubernetes));
    }

    #[test]
    fn other_mounts_show_no_engine() {
        for text in [
            String::new(),
            file("/srv/hosts", "/etc/hosts"),
            file(&format!("/var/lib/docker/containers/{ID}/hosts"), "/mnt/hosts"),
            file("/var/lib/docker/containers/short/hosts", "/etc/hosts"),
        ] {
            assert_eq!(engine_of_mounts(&parse(&text)), None, "{text}");
        }
    }

    #[test]
    fn the_engine_is_known_by_its_cgroup() {
        for (cgroup, engine) in [
            (format!("4:memory:/docker/{ID}\n"), Some(EngineName::Docker)),
            (format!("0::/system.slice/docker-{ID}.scope\n"), Some(EngineName::Docker)),
            (format!("0::/libpod_parent/libpod-{ID}\n"), Some(EngineName::Podman)),
            (format!("0::/kubepods/besteffort/pod6f1d/{ID}\n"), Some(EngineName::Kubernetes)),
            ("0::/kubepods.slice/x.scope\n".to_owned(), Some(EngineName::Kubernetes)),
            ("0::/system.slice/docker.service\n".to_owned(), None),
            ("0::/\n".to_owned(), None),
        ] {
            assert_eq!(engine_of_cgroup(&cgroup), engine, "{cgroup}");
        }
    }

    #[test]
    fn the_mount_at_dev_shm_shows_who_made_it() {
        for (mount, found) in [
            ("85 71 0:46 / /dev/shm rw - tmpfs shm rw,size=65536k\n", ShmMount::Engine),
            ("85 71 0:46 / /dev/shm rw - tmpfs tmpfs rw,mode=755\n", ShmMount::Tmpfs),
            ("85 71 254:0 /tmp/x /dev/shm rw - ext4 /dev/vda rw\n", ShmMount::Volume),
            ("85 71 0:46 /sub /dev/shm rw - tmpfs shm rw\n", ShmMount::Volume),
            ("85 71 0:46 / /dev rw - tmpfs tmpfs rw\n", ShmMount::Nothing),
            (
                "85 71 0:46 / /dev/shm rw - tmpfs shm rw\n86 85 0:47 / /dev/shm rw - tmpfs x rw\n",
                ShmMount::Tmpfs,
            ),
        ] {
            assert_eq!(shm_mount(&parse(mount)), found, "{mount}");
        }
    }
}
