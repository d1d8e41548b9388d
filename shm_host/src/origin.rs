//! How an engine asked for the namespace of a container: the configuration of the OCI runtime.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::Deserialize;

use crate::facts::{AskedMount, IpcOrigin, Origin, PodName};

/// The directories in which engines keep the bundles of containers: before and after the id.
const BUNDLES: [(&str, &str); 5] = [
    ("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby", ""),
    ("/run/containerd/io.containerd.runtime.v2.task/moby", ""),
    ("/run/containerd/io.containerd.runtime.v2.task/k8s.io", ""),
    ("/var/lib/containers/storage/overlay-containers", "userdata"),
    ("/run/containers/storage/overlay-containers", "userdata"),
];

/// Returns how the namespace of the container was asked for.
///
/// # Errors
///
/// `NotFound` if no known directory has the container's configuration; the errors of the file.
pub(crate) fn read(id: &str) -> io::Result<Origin> {
    let mut error =
        io::Error::new(io::ErrorKind::NotFound, "no configuration of the runtime found");
    for (folder, below) in BUNDLES {
        let path: PathBuf = [folder, id, below, "config.json"].iter().collect();
        match fs::read(&path) {
            Ok(bytes) => {
                let invalid = io::ErrorKind::InvalidData;
                return parse(&bytes).map_err(|error| io::Error::new(invalid, error));
            }
            Err(failed) if failed.kind() != io::ErrorKind::NotFound => error = failed,
            Err(_) => {}
        }
    }
    Err(error)
}

/// The parts of `config.json` that concern shared memory, `config.md` of the OCI runtime
/// specification.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    linux: Linux,
    #[serde(default)]
    mounts: Vec<ConfigMount>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Vec<ConfigNamespace>,
}

#[derive(Deserialize)]
struct ConfigNamespace {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
}

#[derive(Deserialize)]
struct ConfigMount {
    destination: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    source: String,
}

/// Parses `config.json` of a bundle.
///
/// # Errors
///
/// If it is not such a file.
pub fn parse(bytes: &[u8]) -> serde_json::Result<Origin> {
    let Config { linux, mounts, mut annotations } = serde_json::from_slice(bytes)?;
    let ipc = match linux.namespaces.into_iter().find(|it| it.kind == "ipc") {
        Some(ConfigNamespace { path: Some(path), .. }) if !path.is_empty() => {
            IpcOrigin::Joined(path)
        }
        Some(_) => IpcOrigin::New,
        None => IpcOrigin::Host,
    };
    let shm = mounts.into_iter().rfind(|mount| mount.destination == "/dev/shm");
    let dev_shm = shm.map(|ConfigMount { kind, source, .. }| AskedMount { kind, source });
    let mut take = |names: [&str; 2]| names.into_iter().find_map(|name| annotations.remove(name));
    let pod = take(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
    let namespace = take(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]);
    let container = take(["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]);
    let sandbox = take(["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]);
    let pod = pod.zip(namespace).map(|(pod, namespace)| {
        // CRI-O names the container of a sandbox POD.
        let container = container.filter(|name| name != "POD");
        PodName { namespace, pod, container, sandbox }
    });
    Ok(Origin { ipc, dev_shm, pod })
}

#[cfg(test)]
mod tests {
    use super::{IpcOrigin, parse};

    #[test]
    fn a_namespace_is_new_or_joined_or_the_hosts() {
        for (namespaces, origin) in [
            (r#"{"type":"pid"},{"type":"ipc"}"#, IpcOrigin::New),
            (
                r#"{"type":"ipc","path":"/proc/7/ns/ipc"}"#,
                IpcOrigin::Joined("/proc/7/ns/ipc".to_owned()),
            ),
            (r#"{"type":"pid"}"#, IpcOrigin::Host),
        ] {
            let config =
                format!(r#"{{"ociVersion":"1.0.2","linux":{{"namespaces":[{namespaces}]}}}}"#);
            let found = parse(config.as_bytes()).unwrap();
            assert_eq!((found.ipc, found.dev_shm, found.pod), (origin, None, None));
        }
        assert!(parse(b"7").is_err());
    }

    #[test]
    fn the_mount_and_the_pod_are_found() {
        let config = br#"{"mounts":[{"destination":"/dev/shm","type":"bind","source":"/run/x/shm"}],
            "annotations":{"io.kubernetes.cri.sandbox-name":"p","io.kubernetes.cri.sandbox-namespace":"n",
            "io.kubernetes.cri.container-name":"c","io.kubernetes.cri.sandbox-id":"s"}}"#;
        let found = parse(config).unwrap();
        assert_eq!(found.dev_shm.unwrap().source, "/run/x/shm");
        let pod = found.pod.unwrap();
        assert_eq!((&*pod.namespace, &*pod.pod, &*pod.container.unwrap()), ("n", "p", "c"));
        assert_eq!(pod.sandbox.unwrap(), "s");
    }
}
