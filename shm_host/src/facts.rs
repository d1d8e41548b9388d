//! The facts of a host: plain data, which can be saved as JSON and read again.
//!
//! Names come from containers and other users. They are not escaped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shm_cli::mounts::Mount;
use shm_core::IpcNamespace;

use crate::cgroup::ContainerKey;
use crate::contents::Contents;
use crate::device::Device;
use crate::maps::{Attachment, MappedFile};
use crate::objects::Directory;
use crate::reading::Reading;

/// The version of the form of [`Snapshot`] as JSON.
pub const SCHEMA_VERSION: u32 = 1;

/// The inode of a namespace. During a snapshot no other namespace of the same type has it, because
/// the snapshot holds the namespaces open.
pub type Inode = u64;

/// Everything that was seen of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The time when it was begun.
    pub taken: Time,
    /// The id of the kernel's boot.
    pub boot_id: Option<String>,
    /// The IPC namespace of the program that looked.
    pub own_ipc: Option<Inode>,
    /// The IPC namespaces.
    pub namespaces: BTreeMap<Inode, Namespace>,
    /// The mount namespaces, with what they have at `/dev/shm` and `/dev/mqueue`.
    pub mount_namespaces: BTreeMap<Inode, MountNamespace>,
    /// The directories for POSIX objects, each once, with their files.
    pub directories: Vec<Directory>,
    /// The processes by their id.
    pub processes: BTreeMap<u32, Process>,
    /// The containers by their id.
    pub containers: BTreeMap<String, Container>,
    /// What was not seen.
    pub unseen: Unseen,
}

/// A time in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

/// An IPC namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its identity.
    pub identity: IpcNamespace,
    /// What holds it besides the leaders of processes in it.
    pub holders: Vec<Holder>,
    /// What it has.
    pub contents: Reading<Contents>,
}

/// What holds a namespace, apart from a process whose leader is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A thread, while the leader of its process is elsewhere or has exited.
    Thread {
        /// The process.
        pid: u32,
        /// The thread.
        tid: u32,
    },
    /// An open descriptor.
    Descriptor {
        /// The process.
        pid: u32,
        /// The number of the descriptor.
        fd: u32,
    },
    /// A file that the namespace is mounted on.
    Mount {
        /// The mount namespace.
        mount_namespace: Inode,
        /// The file.
        path: String,
    },
}

/// A mount namespace: what the processes in it see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MountNamespace {
    /// The process through whose root it was seen. A process with another root sees other files.
    pub seen_by: u32,
    /// What is at `/dev/shm`.
    pub dev_shm: Reading<DevShm>,
    /// What is at `/dev/mqueue`: the device of the file system `mqueue` of an IPC namespace.
    pub dev_mqueue: Reading<Device>,
}

/// The directory `/dev/shm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DevShm {
    /// The device of its file system. Equal devices are one file system.
    pub device: Device,
    /// The inode of the directory: two directories of one device share no objects.
    pub inode: u64,
    /// The mount that is visible there; `None` if `/dev/shm` is a directory of another mount.
    pub mount: Option<Mount>,
    /// The size of the file system in bytes; 0 if it has no limit.
    pub size: u64,
    /// The free bytes.
    pub free: u64,
    /// The number of inodes; 0 if it has no limit.
    pub inodes: u64,
    /// The free inodes.
    pub free_inodes: u64,
    /// The permission bits with the sticky bit.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The name of its program, which it can set.
    pub name: String,
    /// The time of its start.
    pub started: Time,
    /// The effective user id.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The effective capabilities, one bit for each.
    pub capabilities: u64,
    /// Whether a seccomp filter is active.
    pub filtered: Option<bool>,
    /// Its id in its own pid namespace.
    pub inner_pid: Option<u32>,
    /// Its container.
    pub container: Option<ContainerKey>,
    /// Its namespaces; `None` without permission to see them.
    pub namespaces: Option<Namespaces>,
    /// The segments that it has attached; `None` without permission to see them.
    pub attachments: Option<Vec<Attachment>>,
    /// The files of `/dev/shm` that it has mapped.
    pub files: Vec<MappedFile>,
}

/// The namespaces of the leader of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// The IPC namespace.
    pub ipc: Inode,
    /// The mount namespace.
    pub mount: Inode,
    /// The pid namespace.
    pub pid: Inode,
    /// The user namespace.
    pub user: Inode,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// The engine and the id.
    pub key: ContainerKey,
    /// Its first process, if it runs.
    pub init: Option<u32>,
    /// How the engine asked for its namespace, from the OCI runtime's configuration.
    pub origin: Reading<Origin>,
    /// What the engine says; `None` if no engine was asked or none knows it.
    pub inspected: Option<Inspected>,
}

/// How the OCI runtime was asked for the IPC namespace of a container: `config.json` of its bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The IPC namespace.
    pub ipc: IpcOrigin,
    /// The type and the source of the mount at `/dev/shm`, or `None` if none was asked for.
    pub dev_shm: Option<AskedMount>,
    /// The name of the container that a Kubernetes runtime wrote there.
    pub pod: Option<PodName>,
}

/// How an IPC namespace was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpcOrigin {
    /// A new one.
    New,
    /// That of a file, such as `/proc/4711/ns/ipc`.
    Joined(String),
    /// That of the engine: the host's.
    Host,
}

/// A mount that an engine asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedMount {
    /// The type, such as `tmpfs` or `bind`.
    pub kind: String,
    /// The source: for a bind mount, a directory of the host.
    pub source: String,
}

/// The name of a container in a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodName {
    /// The namespace of the cluster.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container; `None` for the sandbox of the pod.
    pub container: Option<String>,
    /// The id of the sandbox.
    pub sandbox: Option<String>,
}

/// What an engine says of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// The name.
    pub name: String,
    /// The wish: `private`, `shareable`, `host`, `none` or `container:ID`. Podman 4.3 says
    /// `shareable` for others too.
    pub ipc_mode: String,
    /// The pod of Podman.
    pub pod: Option<String>,
    /// The service of compose.
    pub service: Option<String>,
    /// Whether the engine says that it runs.
    pub running: bool,
}

/// What was not seen, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// The number of processes whose namespaces may not be seen.
    pub processes: u64,
    /// The number of processes whose maps may not be read.
    pub maps: u64,
    /// The number of processes whose descriptors may not be listed.
    pub descriptors: u64,
    /// Whether `/proc` hides processes of other users: its option `hidepid`.
    pub hidden_processes: bool,
    /// The engines that were asked and did not answer, with the reason.
    pub engines: BTreeMap<String, String>,
    /// The processes that ended, or changed their namespace, while they were read.
    pub changed: Vec<u32>,
}
