//! Taking a snapshot of this host.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shm_cli::place::EngineName;
use shm_core::IpcNamespace;
use shm_core::namespace::boot_id;

use crate::cgroup::ContainerKey;
use crate::engines::{self, Answers};
use crate::enter;
use crate::facts::{Container, Holder, Inode, Namespace, Process, SCHEMA_VERSION, Snapshot, Time};
use crate::origin;
use crate::scan::Scan;

/// Whether the engines are asked for the names of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Run `docker` and `podman`, if they are installed.
    Ask,
    /// Only ids.
    Skip,
}

impl Snapshot {
    /// Reads everything that this process may see of the host. Changes nothing, except that it raises
    /// this process's limit of open files: each namespace is held open.
    ///
    /// # Errors
    ///
    /// The errors of `/proc`. What else cannot be read is part of the snapshot.
    pub fn take(names: Names) -> io::Result<Self> {
        raise_open_files();
        let taken = now();
        let Scan { processes, ipc, mount_namespaces, directories, mut unseen } = Scan::take()?;
        let Answers { containers: mut inspected, failed } = match names {
            Names::Ask => engines::ask(),
            Names::Skip => Answers::default(),
        };
        unseen.engines = failed;
        let mut containers = running(&processes);
        for (id, (engine, answer)) in std::mem::take(&mut inspected) {
            let container =
                containers.entry(id.clone()).or_insert_with(|| Container::new(id, None));
            container.key.engine = Some(engine);
            container.inspected = Some(answer);
        }
        let own_ipc = IpcNamespace::current().ok().map(|it| it.inode());
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            taken,
            boot_id: boot_id(),
            own_ipc,
            namespaces: read(ipc),
            mount_namespaces,
            directories: directories.seen,
            processes,
            containers,
            unseen,
        })
    }
}

/// Returns the containers of the processes. The first process of a container is the one that
/// started first: with the host's pid namespace, none of them has the id 1.
fn running(processes: &BTreeMap<u32, Process>) -> BTreeMap<String, Container> {
    let mut containers: BTreeMap<String, Container> = BTreeMap::new();
    for (pid, process) in processes {
        let Some(key) = &process.container else { continue };
        let new = || Container::new(key.id.clone(), key.engine);
        let container = containers.entry(key.id.clone()).or_insert_with(new);
        let earlier = container.init.is_none_or(|init| process.started < processes[&init].started);
        if earlier {
            container.init = Some(*pid);
        }
    }
    containers
}

impl Container {
    fn new(id: String, engine: Option<EngineName>) -> Self {
        let origin = origin::read(&id).into();
        Self { key: ContainerKey { engine, id }, init: None, origin, inspected: None }
    }
}

fn read(ipc: BTreeMap<Inode, (File, Vec<Holder>)>) -> BTreeMap<Inode, Namespace> {
    let mut files = Vec::new();
    let mut parts = Vec::new();
    for (inode, (file, holders)) in ipc {
        files.push(file);
        parts.push((inode, holders));
    }
    let contents = enter::contents(&files);
    let mut namespaces = BTreeMap::new();
    for ((file, (inode, holders)), contents) in files.into_iter().zip(parts).zip(contents) {
        let Ok(identity) = IpcNamespace::of_file(file) else { continue };
        namespaces.insert(inode, Namespace { identity, holders, contents: contents.into() });
    }
    namespaces
}

fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Without it, a host of a thousand namespaces is seen in part.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
