//! One pass over `/proc`: the processes, and everything that holds an IPC namespace.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::time::{ClockId, clock_gettime};
use shm_cli::mounts::{self, Mount};

use crate::cgroup;
use crate::facts::{Holder, Inode, MountNamespace, Namespaces, Process, Time, Unseen};
use crate::maps;
use crate::objects::{Directories, dev_mqueue};
use crate::process_dir::{ProcessDir, process_ids};
use crate::status::{Start, parse_stat, parse_status};

/// What a pass over `/proc` has found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) processes: BTreeMap<u32, Process>,
    /// The IPC namespaces, held open.
    pub(crate) ipc: BTreeMap<Inode, (File, Vec<Holder>)>,
    pub(crate) mount_namespaces: BTreeMap<Inode, MountNamespace>,
    pub(crate) directories: Directories,
    pub(crate) unseen: Unseen,
}

impl Scan {
    /// Reads all processes that `/proc` shows.
    pub(crate) fn take() -> io::Result<Self> {
        let mut scan = Self::default();
        let clock = Clock::read();
        for pid in process_ids()? {
            // A process that is gone is no fact of the host.
            let Ok(directory) = ProcessDir::open(pid) else { continue };
            scan.add(pid, &directory, &clock);
        }
        scan.check_again(&clock);
        Ok(scan)
    }

    fn add(&mut self, pid: u32, directory: &ProcessDir, clock: &Clock) {
        let Some(process) = read_process(directory, clock) else { return };
        let (process, kind) = process;
        self.unseen.processes += u64::from(process.namespaces.is_none() && kind != Kind::Zombie);
        let ipc = process.namespaces.map(|it| it.ipc);
        if let Some(namespaces) = process.namespaces {
            self.hold(namespaces.ipc, || directory.file("ns/ipc"), None);
            self.look_at_mounts(pid, namespaces.mount, directory);
        }
        if kind != Kind::Kernel {
            self.unseen.maps += u64::from(process.attachments.is_none());
            self.add_threads(pid, ipc, directory);
            // The scan itself holds each namespace open.
            if pid != std::process::id() {
                self.add_descriptors(pid, directory);
            }
        }
        self.processes.insert(pid, process);
    }

    /// Holds an IPC namespace open, so that no other one gets its inode.
    fn hold(
        &mut self,
        inode: Inode,
        open: impl FnOnce() -> io::Result<File>,
        holder: Option<Holder>,
    ) {
        if let Some((_, holders)) = self.ipc.get_mut(&inode) {
            holders.extend(holder);
        } else if let Ok(file) = open() {
            self.ipc.insert(inode, (file, holder.into_iter().collect()));
        }
    }

    fn add_threads(&mut self, pid: u32, leader: Option<Inode>, directory: &ProcessDir) {
        for tid in directory.numbers("task").unwrap_or_default() {
            let name = format!("task/{tid}/ns/ipc");
            let Ok(found) = directory.target(&name) else { continue };
            if Some(found.st_ino) != leader {
                let holder = Holder::Thread { pid, tid };
                self.hold(found.st_ino, || directory.file(&name), Some(holder));
            }
        }
    }

    fn add_descriptors(&mut self, pid: u32, directory: &ProcessDir) {
        let Ok(descriptors) = directory.numbers("fd") else {
            self.unseen.descriptors += 1;
            return;
        };
        for fd in descriptors {
            let name = format!("fd/{fd}");
            let Some(inode) = directory.link(&name).ok().as_deref().and_then(parse_link) else {
                continue;
            };
            let holder = Holder::Descriptor { pid, fd };
            self.hold(inode, || directory.file(&name), Some(holder));
        }
    }

    /// Looks at the mounts of a namespace through the first process that is seen in it: reading
    /// those of every process takes half of the time of a pass.
    fn look_at_mounts(&mut self, pid: u32, inode: Inode, directory: &ProcessDir) {
        if self.mount_namespaces.contains_key(&inode) {
            return;
        }
        let Ok(root) = directory.directory("root") else { return };
        let text = directory.text("mountinfo").unwrap_or_default();
        let mounts = mounts::parse(&text);
        for mount in mounts.iter().filter(|mount| mount.file_system == "nsfs") {
            self.add_mounted(inode, mount, &root);
        }
        let found = MountNamespace {
            seen_by: pid,
            dev_shm: self.directories.dev_shm(root.as_fd(), &mounts).into(),
            dev_mqueue: dev_mqueue(root.as_fd(), &mounts).into(),
        };
        self.mount_namespaces.insert(inode, found);
    }

    fn add_mounted(&mut self, mount_namespace: Inode, mount: &Mount, root: impl AsFd) {
        let Some(inode) = parse_link(&mount.root) else { return };
        let path = mount.mount_point.clone();
        let open = || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = openat2(root, &*path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
            Ok(File::from(file))
        };
        let holder = Holder::Mount { mount_namespace, path: path.clone() };
        self.hold(inode, open, Some(holder));
    }

    /// Reads the identities again: a process that was read meanwhile can have ended, joined another
    /// namespace, or given its id to a new process.
    fn check_again(&mut self, clock: &Clock) {
        for (pid, before) in &self.processes {
            let Ok(directory) = ProcessDir::open(*pid) else {
                self.unseen.changed.push(*pid);
                continue;
            };
            let start = directory.text("stat").ok().as_deref().and_then(parse_stat);
            let started = start.map(|start| clock.time(start.ticks));
            let ipc = directory.target("ns/ipc").ok().map(|found| found.st_ino);
            if started != Some(before.started) || ipc != before.namespaces.map(|it| it.ipc) {
                self.unseen.changed.push(*pid);
            }
        }
    }
}

/// How a process counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    /// A thread of the kernel: it has no memory and no descriptors.
    Kernel,
    /// It has exited; its threads can still run.
    Zombie,
}

fn read_process(directory: &ProcessDir, clock: &Clock) -> Option<(Process, Kind)> {
    let Start { name, state, ticks, is_kernel } = parse_stat(&directory.text("stat").ok()?)?;
    let status = parse_status(&directory.text("status").ok()?)?;
    let kind = match state {
        _ if is_kernel => Kind::Kernel,
        'Z' | 'X' => Kind::Zombie,
        _ => Kind::User,
    };
    let maps = match kind {
        Kind::User => directory.text("maps").ok().map(|text| maps::parse(&text)),
        _ => Some(maps::Maps::default()),
    };
    let (attachments, files) = maps.map(|it| (it.attachments, it.files)).unzip();
    let process = Process {
        name,
        started: clock.time(ticks),
        uid: status.uid,
        gid: status.gid,
        groups: status.groups,
        capabilities: status.capabilities,
        filtered: status.filtered,
        inner_pid: status.inner_pid,
        container: directory.text("cgroup").ok().as_deref().and_then(cgroup::container),
        namespaces: read_namespaces(directory).ok(),
        attachments,
        files: files.unwrap_or_default(),
    };
    Some((process, kind))
}

fn read_namespaces(directory: &ProcessDir) -> io::Result<Namespaces> {
    let inode = |name| Ok::<_, io::Error>(directory.target(name)?.st_ino);
    Ok(Namespaces {
        ipc: inode("ns/ipc")?,
        mount: inode("ns/mnt")?,
        pid: inode("ns/pid")?,
        user: inode("ns/user")?,
    })
}

/// Parses `ipc:[4026531839]`.
fn parse_link(link: &str) -> Option<Inode> {
    link.strip_prefix("ipc:[")?.strip_suffix(']')?.parse().ok()
}

/// The relation of the kernel's ticks since the boot to the time of day.
#[derive(Debug)]
struct Clock {
    boot: i64,
    ticks_per_second: i64,
}

impl Clock {
    fn read() -> Self {
        let milliseconds = |clock| {
            let now = clock_gettime(clock);
            now.tv_sec * 1000 + now.tv_nsec / 1_000_000
        };
        let boot = milliseconds(ClockId::Realtime) - milliseconds(ClockId::Boottime);
        let ticks_per_second = i64::try_from(rustix::param::clock_ticks_per_second());
        Self { boot, ticks_per_second: ticks_per_second.unwrap_or(100) }
    }

    fn time(&self, ticks: u64) -> Time {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        Time(self.boot.saturating_add(ticks.saturating_mul(1000) / self.ticks_per_second))
    }
}
