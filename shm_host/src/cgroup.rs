//! The container of a process, by the path of its cgroup.

use serde::{Deserialize, Serialize};
use shm_cli::place::EngineName;

/// A container as a cgroup names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ContainerKey {
    /// The engine, if the path shows it.
    pub engine: Option<EngineName>,
    /// The id: 64 hexadecimal digits.
    pub id: String,
}

/// The prefixes with which engines write the id of a container into a path, and the engines.
const PREFIXES: [(&str, Option<EngineName>); 5] = [
    ("docker-", Some(EngineName::Docker)),
    ("libpod-", Some(EngineName::Podman)),
    ("cri-containerd-", Some(EngineName::Kubernetes)),
    ("crio-", Some(EngineName::Kubernetes)),
    ("", None),
];

/// Returns the container that the text of `/proc/PID/cgroup` names, or `None` if the process is in
/// none. A container in a container has two ids in its path: the first is of this host's engine.
#[must_use]
pub fn container(cgroup: &str) -> Option<ContainerKey> {
    cgroup.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let pod = path.split('/').any(|part| part.starts_with("kubepods"));
        let mut parent = "";
        path.split('/').find_map(|part| {
            let folder = std::mem::replace(&mut parent, part);
            let (engine, id) = parse_part(part)?;
            let engine = match (engine, folder) {
                _ if pod => Some(EngineName::Kubernetes),
                (None, "docker") => Some(EngineName::Docker),
                (engine, _) => engine,
            };
            Some(ContainerKey { engine, id: id.to_owned() })
        })
    })
}

/// Parses a part of a path. `libpod-conmon-ID` and `crio-conmon-ID` have the monitor of a
/// container, which runs on the host: no prefix leaves their id.
fn parse_part(part: &str) -> Option<(Option<EngineName>, &str)> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    PREFIXES.into_iter().find_map(|(prefix, engine)| {
        let id = name.strip_prefix(prefix)?;
        let is_id = id.len() == 64 && id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then_some((engine, id))
    })
}

#[cfg(test)]
mod tests {
    use shm_cli::place::EngineName;

    use super::{ContainerKey, container};

    const ID: &str = "13b7d66041f041683cccd7019c1a2951980a240b927309f3b939abe095842658";
    const OTHER: &str = "23b7d66041f041683cccd7019c1a2951980a240b927309f3b939abe095842658";

    #[test]
    fn the_engine_and_the_id_are_in_the_path() {
        for (path, engine) in [
            (format!("/docker/{ID}"), Some(EngineName::Docker)),
            (format!("/system.slice/docker-{ID}.scope"), Some(EngineName::Docker)),
            (format!("/docker/{ID}/docker/{OTHER}"), Some(EngineName::Docker)),
            (format!("/libpod_parent/libpod-{ID}"), Some(EngineName::Podman)),
            (format!("/machine.slice/libpod-{ID}.scope/container"), Some(EngineName::Podman)),
            (format!("/kubepods/besteffort/pod6f1d/{ID}"), Some(EngineName::Kubernetes)),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
                Some(EngineName::Kubernetes),
            ),
            (format!("/kubepods.slice/x/crio-{ID}.scope"), Some(EngineName::Kubernetes)),
            (format!("/my-parent/{ID}"), None),
        ] {
            let expected = ContainerKey { engine, id: ID.to_owned() };
            for text in [format!("4:memory:{path}\n0::/\n"), format!("0::{path}\n")] {
                assert_eq!(container(&text), Some(expected.clone()), "{text}");
            }
        }
    }

    #[test]
    fn other_paths_have_no_container() {
        for path in [
            "/".to_owned(),
            "/user.slice/user-0.slice/session-1.scope".to_owned(),
            format!("/libpod_parent/libpod-conmon-{ID}"),
            format!("/machine.slice/crio-conmon-{ID}.scope"),
            format!("/docker/{}", &ID[1..]),
        ] {
            assert_eq!(container(&format!("0::{path}\n")), None, "{path}");
        }
    }
}
