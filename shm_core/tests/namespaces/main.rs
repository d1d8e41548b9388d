//! The identity of IPC namespaces, and their separate objects, limits and counts.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use shm_core::posix::{Location, Object};
use shm_core::{Errno, Error, IpcNamespace, Key, Limits, Segment, Usage, table};
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::{LIMITS, MOUNTS};
use shm_testkit::{Suite, Trial, trials, wait};

/// The default key of the tools.
const KEY: Key = Key::new(20_231_125).unwrap();

/// Calls `look` with the id of a process that is alone in a new IPC namespace.
fn with_namespace<T>(look: impl FnOnce(u32) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // The process ends when the file is removed, so nothing has to be killed.
    let script =
        "echo $$ >\"$0.new\"; mv \"$0.new\" \"$0\"; while [ -e \"$0\" ]; do sleep 0.02; done";
    let mut process = Command::new("unshare");
    process.args(["--ipc", "sh", "-c", script]).arg(&file).timeout(Duration::from_secs(20));
    thread::scope(|scope| {
        scope.spawn(move || process.assert().success());
        let pid = wait::until("process id", || fs::read_to_string(&file).ok());
        let answer = look(pid.trim().parse().unwrap());
        fs::remove_file(&file).unwrap();
        answer
    })
}

fn a_namespace_equals_itself_and_no_other() {
    let own = IpcNamespace::current().unwrap();
    with_namespace(|pid| {
        let other = IpcNamespace::of_process(pid).unwrap();
        assert_ne!(own, other);
        assert_eq!(other, IpcNamespace::of_process(pid).unwrap());
        assert!(!other.is_initial() && !own.is_initial());
        assert_ne!(own.to_string(), other.to_string());
    });
    assert_eq!(own, IpcNamespace::current().unwrap());
}

fn a_namespace_with_a_reused_inode_is_a_different_namespace() {
    // The kernel reuses inodes at once: some of these namespaces have the same one.
    let seen: Vec<_> =
        (0..10).map(|_| with_namespace(|pid| IpcNamespace::of_process(pid).unwrap())).collect();
    for (index, one) in seen.iter().enumerate() {
        assert!(seen[index + 1..].iter().all(|other| one != other), "{seen:?}");
    }
}

fn the_namespace_of_a_missing_process_is_enoent() {
    let error = IpcNamespace::of_process(u32::MAX).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOENT));
    assert_eq!(
        error.to_string(),
        "open of /proc/4294967295/ns/ipc failed, errno: 2 msg: No such file or directory"
    );
}

fn a_new_namespace_is_empty_and_the_default_key_is_free() {
    assert_eq!(table::list().unwrap(), []);
    assert_eq!(Usage::current().unwrap().segments, 0);
    let segment = Segment::create_new(KEY, 5000, 0o600).unwrap();
    let usage = Usage::current().unwrap();
    assert_eq!((usage.segments, usage.total_pages, usage.resident_pages), (1, 2, 0));
    segment.attach_writable().unwrap().write_at(0, b"x").unwrap();
    assert_eq!(Usage::current().unwrap().resident_pages, 1);
}

fn limits_are_those_of_the_namespace() {
    for (name, value) in [("shmmni", "5"), ("shmmax", "8192"), ("shmall", "3")] {
        fs::write(Path::new("/proc/sys/kernel").join(name), value).unwrap();
    }
    let limits = Limits::current().unwrap();
    assert_eq!((limits.max_segments, limits.max_segment_bytes), (5, 8192));
    assert_eq!((limits.max_total_pages, limits.min_segment_bytes), (3, 1));
    let errno = |size| Segment::create_new(KEY, size, 0o600).unwrap_err().errno();
    assert_eq!(errno(8193), Some(Errno::EINVAL));
    Segment::create_new(Key::new(1).unwrap(), 8192, 0o600).unwrap();
    assert_eq!(errno(8192), Some(Errno::ENOSPC));
}

fn the_listing_is_the_same_without_proc() {
    let segments: Vec<_> = (1..=5)
        .map(|key| Segment::create_new(Key::new(key).unwrap(), 4096, 0o600).unwrap())
        .collect();
    let attachment = segments[1].attach().unwrap();
    segments[1].remove().unwrap();
    segments[2].remove().unwrap();
    segments[3].lock().unwrap();
    let with = table::list().unwrap();
    assert_eq!(with.len(), 4);
    mount_tmpfs("/proc", "");
    assert_eq!(table::list().unwrap(), with);
    let error = IpcNamespace::current().unwrap_err();
    assert!(matches!(error, Error::Namespace { errno: Errno::ENOENT, .. }), "{error}");
    drop(attachment);
    assert_eq!(table::list().unwrap().len(), 3);
}

fn on_a_full_file_system_no_object_is_created_or_grown() {
    mount_tmpfs("/dev/shm", "size=64k");
    let location = Location::Posix("/full".parse().unwrap());
    let error = Object::create_new(&location, 100_000, 0o600).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOSPC));
    assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);

    let object = Object::create_new(&location, 4096, 0o600).unwrap();
    object.write_at(0, b"kept").unwrap();
    let error = object.grow(100_000).unwrap_err();
    assert_eq!((error.errno(), error.call()), (Some(Errno::ENOSPC), Some("posix_fallocate")));
    assert_eq!(object.size(), Ok(4096));
    let answer = Object::open_or_create(&location, 100_000, 0o600);
    assert_eq!(answer.unwrap_err().errno(), Some(Errno::ENOSPC));
    assert_eq!(location.path().metadata().unwrap().len(), 4096);
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[] =>
            a_namespace_equals_itself_and_no_other,
            a_namespace_with_a_reused_inode_is_a_different_namespace,
            a_new_namespace_is_empty_and_the_default_key_is_free;
        Trial::here, &[] =>
            the_namespace_of_a_missing_process_is_enoent;
        Trial::isolated, &[LIMITS] =>
            limits_are_those_of_the_namespace;
        Trial::isolated, &[MOUNTS] =>
            the_listing_is_the_same_without_proc,
            on_a_full_file_system_no_object_is_created_or_grown;
    ];
    Suite::new(trials).run()
}
