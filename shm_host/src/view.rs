//! Questions about a snapshot.

use shm_core::Stat;
use shm_core::stat::SegmentId;

use crate::facts::{Container, Inode, Process, Snapshot};
use crate::maps::Attachment;

/// A process that has a segment attached.
#[derive(Clone, Copy, Debug)]
pub struct Attached<'a> {
    /// Its id.
    pub pid: u32,
    /// The process.
    pub process: &'a Process,
    /// The attachment.
    pub attachment: &'a Attachment,
}

impl Snapshot {
    /// Returns the host's IPC namespace: that of the first process. In a container it is the
    /// namespace of the container's first process.
    #[must_use]
    pub fn host_ipc(&self) -> Option<Inode> {
        Some(self.processes.get(&1)?.namespaces?.ipc)
    }

    /// Returns the processes whose leader is in an IPC namespace.
    pub fn processes_in(&self, ipc: Inode) -> impl Iterator<Item = (u32, &Process)> {
        let is_in = move |process: &Process| process.namespaces.is_some_and(|it| it.ipc == ipc);
        self.processes.iter().filter(move |(_, it)| is_in(it)).map(|(pid, it)| (*pid, it))
    }

    /// Returns the first process of a container, if it runs.
    #[must_use]
    pub fn init(&self, container: &Container) -> Option<&Process> {
        self.processes.get(&container.init?)
    }

    /// Returns the containers whose first process is in an IPC namespace, in the order of their
    /// start.
    #[must_use]
    pub fn containers_in(&self, ipc: Inode) -> Vec<&Container> {
        let started = |container: &Container| self.init(container).map(|it| it.started);
        let is_in = |it: &&Container| self.ipc_of(it) == Some(ipc);
        let mut containers: Vec<_> = self.containers.values().filter(is_in).collect();
        containers.sort_by_key(|container| started(container));
        containers
    }

    /// Returns the IPC namespace of the first process of a container.
    #[must_use]
    pub fn ipc_of(&self, container: &Container) -> Option<Inode> {
        Some(self.init(container)?.namespaces?.ipc)
    }

    /// Returns the processes that have a segment of an IPC namespace attached. A process that has
    /// moved to another namespace keeps its attachments: those of its present one are assumed.
    #[must_use]
    pub fn attached(&self, ipc: Inode, shmid: SegmentId) -> Vec<Attached<'_>> {
        let attached = |(pid, process): (u32, _)| {
            let process: &Process = process;
            let attachments = process.attachments.as_deref()?;
            let attachment = attachments.iter().find(|it| it.shmid == shmid)?;
            Some(Attached { pid, process, attachment })
        };
        self.processes_in(ipc).filter_map(attached).collect()
    }

    /// Returns whether the process that created a segment runs. The id can be reused: a process that
    /// started after the creation is another one. `None` if the creator is of another pid namespace.
    #[must_use]
    pub fn creator_runs(&self, segment: &Stat) -> Option<bool> {
        if segment.cpid == 0 {
            return None;
        }
        let creator = self.processes.get(&segment.cpid);
        // The time of the segment has seconds.
        Some(creator.is_some_and(|it| it.started.0 / 1000 <= segment.ctime))
    }

    /// Returns the name of the container of a process, or its id.
    #[must_use]
    pub fn container_of(&self, process: &Process) -> Option<&Container> {
        self.containers.get(&process.container.as_ref()?.id)
    }
}

impl Container {
    /// Returns the name: that of the engine, that in a pod, or the first 12 digits of the id.
    #[must_use]
    pub fn name(&self) -> String {
        let pod = || self.origin.read()?.pod.as_ref();
        match (&self.inspected, pod()) {
            (Some(inspected), _) => inspected.name.clone(),
            (None, Some(pod)) => {
                let container = pod.container.as_deref().unwrap_or("(sandbox)");
                format!("{}/{}/{container}", pod.namespace, pod.pod)
            }
            (None, None) => self.key.id.chars().take(12).collect(),
        }
    }
}
