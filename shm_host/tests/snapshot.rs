//! Snapshots of namespaces that the trials make. Each trial sees only its own processes.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ExitCode};
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use shm_core::{IpcNamespace, Segment};
use shm_host::facts::Holder;
use shm_host::{Names, Snapshot};
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::MOUNTS;
use shm_testkit::{Suite, Trial, trials};

fn take() -> Snapshot {
    Snapshot::take(Names::Skip).unwrap()
}

fn inode(namespace: &File) -> u64 {
    namespace.metadata().unwrap().ino()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process must outlive the command that starts it"
)]
fn process(program: &str, arguments: &[&str]) -> Child {
    std::process::Command::new(program).args(arguments).spawn().unwrap()
}

/// A process, mostly in an IPC namespace of its own, killed on drop.
struct Elsewhere(Child);

impl Elsewhere {
    fn start() -> Self {
        let own = inode(&File::open("/proc/self/ns/ipc").unwrap());
        let elsewhere = Self(process("unshare", &["--ipc", "sleep", "60"]));
        while inode(&elsewhere.namespace()) == own {
            thread::sleep(Duration::from_millis(1));
        }
        elsewhere
    }

    fn namespace(&self) -> File {
        File::open(format!("/proc/{}/ns/ipc", self.0.id())).unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn a_segment_is_found_with_its_creator_and_its_attachment() {
    let segment = Segment::create_private(4096, 0o600).unwrap();
    let _attachment = segment.attach_writable().unwrap();
    let snapshot = take();
    let ipc = snapshot.own_ipc.unwrap();
    let contents = snapshot.namespaces[&ipc].contents.read().unwrap();
    let [found] = &contents.segments.read().unwrap()[..] else { panic!("{contents:?}") };
    assert_eq!((found.shmid, found.size, found.nattch), (segment.id(), 4096, 1));
    assert_eq!(snapshot.creator_runs(found), Some(true));
    let [attached] = &snapshot.attached(ipc, found.shmid)[..] else { panic!("{snapshot:?}") };
    assert_eq!((attached.pid, attached.attachment.mappings), (std::process::id(), 1));
    assert_eq!(attached.attachment.key, 0);
    segment.remove().unwrap();
}

fn another_namespace_is_entered_and_left() {
    let segment = Segment::create_private(4096, 0o600).unwrap();
    let elsewhere = Elsewhere::start();
    let other = inode(&elsewhere.namespace());
    let before = IpcNamespace::current().unwrap();
    let snapshot = take();
    assert_eq!(IpcNamespace::current().unwrap(), before);
    assert_eq!(snapshot.namespaces.len(), 2);
    let found = &snapshot.namespaces[&other];
    assert_eq!(found.identity.inode(), other);
    let contents = found.contents.read().unwrap();
    assert_eq!(contents.segments.read().unwrap(), &[]);
    let pids: Vec<_> = snapshot.processes_in(other).map(|(pid, _)| pid).collect();
    assert_eq!((pids, &found.holders[..]), (vec![elsewhere.0.id()], &[][..]));
    segment.remove().unwrap();
}

fn a_namespace_that_only_a_descriptor_holds_is_found() {
    let elsewhere = Elsewhere::start();
    let file = elsewhere.namespace();
    let script = format!("exec 9</proc/{}/ns/ipc; exec sleep 60", elsewhere.0.id());
    let holder = Elsewhere(process("sh", &["-c", &script]));
    while fs::read_link(format!("/proc/{}/fd/9", holder.0.id())).is_err() {
        thread::sleep(Duration::from_millis(1));
    }
    drop(elsewhere);
    let snapshot = take();
    let found = &snapshot.namespaces[&inode(&file)];
    assert_eq!(found.holders, [Holder::Descriptor { pid: holder.0.id(), fd: 9 }]);
    assert!(found.contents.read().is_some() && snapshot.processes_in(inode(&file)).count() == 0);
}

fn a_namespace_that_only_a_mount_holds_is_found() {
    mount_tmpfs("/mnt", "mode=0755");
    fs::write("/mnt/ns", "").unwrap();
    let elsewhere = Elsewhere::start();
    let source = format!("/proc/{}/ns/ipc", elsewhere.0.id());
    Command::new("mount").args(["--bind", &source, "/mnt/ns"]).assert().success();
    drop(elsewhere);
    let snapshot = take();
    let found = &snapshot.namespaces[&fs::metadata("/mnt/ns").unwrap().ino()];
    let [Holder::Mount { path, .. }] = &found.holders[..] else { panic!("{found:?}") };
    assert_eq!(path, "/mnt/ns");
}

fn objects_are_found_in_the_directory_of_the_mount_namespace() {
    mount_tmpfs("/dev/shm", "size=64k");
    fs::write("/dev/shm/name", [1; 100]).unwrap();
    let snapshot = take();
    let own = snapshot.processes[&std::process::id()].namespaces.unwrap();
    let shm = snapshot.mount_namespaces[&own.mount].dev_shm.read().unwrap();
    assert_eq!((shm.size, shm.mount.as_ref().unwrap().file_system.as_str()), (65_536, "tmpfs"));
    let is_it = |it: &&shm_host::objects::Directory| it.device == shm.device;
    let directory = snapshot.directories.iter().find(is_it).unwrap();
    let [object] = &directory.objects.read().unwrap()[..] else { panic!("{directory:?}") };
    assert_eq!((&*object.name, object.size), ("name", 100));
}

fn a_snapshot_can_be_saved_and_read_again() {
    let _elsewhere = Elsewhere::start();
    let segment = Segment::create_private(4096, 0o640).unwrap();
    let snapshot = take();
    let saved = serde_json::to_vec(&snapshot).unwrap();
    assert_eq!(serde_json::from_slice::<Snapshot>(&saved).unwrap(), snapshot);
    segment.remove().unwrap();
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[] =>
            a_segment_is_found_with_its_creator_and_its_attachment,
            another_namespace_is_entered_and_left,
            a_namespace_that_only_a_descriptor_holds_is_found,
            a_snapshot_can_be_saved_and_read_again;
        Trial::isolated, &[MOUNTS] =>
            a_namespace_that_only_a_mount_holds_is_found,
            objects_are_found_in_the_directory_of_the_mount_namespace;
    ];
    Suite::new(trials).run()
}
