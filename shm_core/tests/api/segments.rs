use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Barrier;
use std::thread;

use shm_core::segment::{HugePage, RemoveOnDrop};
use shm_core::table;
use shm_core::{Access, Errno, Error, Key, Origin, Segment};
use shm_testkit::scratch::ScratchKey;

fn errno<T>(result: Result<T, Error>) -> Option<Errno> {
    result.err().and_then(|error| error.errno())
}

#[test]
fn a_segment_outlives_its_handle_and_its_attachments() {
    let key = ScratchKey::new();
    let made = Segment::create_new(*key, 100, 0o600).unwrap();
    made.attach_writable().unwrap().write_at(0, b"kept").unwrap();
    let found = Segment::open(*key).unwrap();
    assert_eq!(found, made);
    let mut bytes = [0; 4];
    assert_eq!(found.attach().unwrap().read_at(0, &mut bytes), 4);
    assert_eq!(&bytes, b"kept");
}

#[test]
fn a_new_segment_is_zeroed_and_has_the_given_size_and_mode() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 5000, 0o7640).unwrap();
    let stat = segment.stat().unwrap();
    assert_eq!((stat.key, stat.shmid), (key.raw(), segment.id()));
    assert_eq!((stat.size, stat.mode, stat.nattch), (5000, 0o640, 0));
    assert_eq!((stat.dest, stat.locked), (false, false));
    assert_eq!((stat.cpid, stat.lpid, stat.atime), (std::process::id(), 0, 0));
    let mut bytes = [1; 5000];
    assert_eq!(segment.attach().unwrap().read_at(0, &mut bytes), 5000);
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn all_look_ups_find_the_same_segment() {
    let key = ScratchKey::new();
    for absent in [Segment::find(*key), Segment::open(*key), Segment::open_writable(*key, 0)] {
        assert_eq!(errno(absent), Some(Errno::ENOENT));
    }
    let made = Segment::create_new(*key, 100, 0o600).unwrap();
    for found in [
        Segment::find(*key),
        Segment::open(*key),
        Segment::open_writable(*key, 0),
        Segment::open_writable(*key, 100),
        Segment::open_or_create(*key, 100, 0o600).map(|(segment, _)| segment),
    ] {
        assert_eq!(found, Ok(made));
    }
    assert_eq!(Segment::from_id(made.id()), made);
}

#[test]
fn errors_have_the_arguments_of_the_call() {
    let key = ScratchKey::new();
    let error = Segment::open_writable(*key, 7).unwrap_err();
    assert_eq!(
        error,
        Error::Get {
            key: Some(*key),
            size: 7,
            access: Access::ReadWrite,
            huge: false,
            errno: Errno::ENOENT
        }
    );
    assert_eq!(error.to_string(), "shmget failed, errno: 2 msg: No such file or directory");
    assert_eq!(error.call(), Some("shmget"));
    let error = Segment::create_new(*key, 0, 0o600).unwrap_err();
    assert_eq!(
        error,
        Error::Get {
            key: Some(*key),
            size: 0,
            access: Access::Create,
            huge: false,
            errno: Errno::EINVAL
        }
    );
}

#[test]
fn a_segment_smaller_than_the_requested_size_is_not_opened() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 100, 0o600).unwrap();
    assert_eq!(errno(Segment::open_writable(*key, 101)), Some(Errno::EINVAL));
    assert_eq!(errno(Segment::open_or_create(*key, 101, 0o600)), Some(Errno::EINVAL));
    assert_eq!(errno(Segment::create_new(*key, 101, 0o600)), Some(Errno::EEXIST));
}

#[test]
fn exactly_one_of_many_callers_creates_the_segment() {
    const CALLERS: usize = 16;
    for _ in 0..50 {
        let key = ScratchKey::new();
        let start = Barrier::new(CALLERS);
        let answers = thread::scope(|scope| {
            let caller = || {
                start.wait();
                Segment::open_or_create(*key, 64, 0o600).unwrap()
            };
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect::<Vec<_>>()
        });
        let created = answers.iter().filter(|(_, origin)| *origin == Origin::Created).count();
        assert_eq!(created, 1);
        assert!(answers.iter().all(|(segment, _)| *segment == answers[0].0));
    }
}

#[test]
fn open_or_create_works_while_another_thread_removes() {
    let key = ScratchKey::new();
    thread::scope(|scope| {
        let remover = scope.spawn(|| {
            for _ in 0..2000 {
                if let Ok(segment) = Segment::find(*key) {
                    let _ = segment.remove();
                }
            }
        });
        while !remover.is_finished() {
            Segment::open_or_create(*key, 64, 0o600).unwrap();
        }
    });
}

#[test]
fn removal_frees_the_key_at_once_and_the_memory_at_the_last_detach() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    let attachment = segment.attach_writable().unwrap();
    segment.remove().unwrap();
    assert_eq!(errno(Segment::find(*key)), Some(Errno::ENOENT));
    let stat = segment.stat().unwrap();
    assert_eq!((stat.dest, stat.nattch, stat.key), (true, 1, 0));
    attachment.write_at(0, b"alive").unwrap();
    let mut bytes = [0; 5];
    assert_eq!(attachment.read_at(0, &mut bytes), 5);
    assert_eq!(&bytes, b"alive");
    drop(attachment);
    assert_eq!(errno(segment.stat()), Some(Errno::EINVAL));
    assert!(table::list().unwrap().iter().all(|stat| stat.shmid != segment.id()));
}

#[test]
fn calls_on_a_removed_segment_fail_with_einval_or_eidrm() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    segment.remove().unwrap();
    let gone = |error: Error| matches!(error.errno(), Some(Errno::EINVAL | Errno::EIDRM));
    assert!(segment.remove().is_err_and(gone));
    assert!(segment.stat().is_err_and(gone));
    assert!(segment.lock().is_err_and(gone));
    assert!(segment.attach().is_err_and(gone));
    assert!(segment.attach_writable().is_err_and(gone));
}

#[test]
fn remove_on_drop_removes_and_ignores_a_removed_segment() {
    let key = ScratchKey::new();
    drop(RemoveOnDrop(Segment::create_new(*key, 100, 0o600).unwrap()));
    assert_eq!(errno(Segment::find(*key)), Some(Errno::ENOENT));
    let guard = RemoveOnDrop(Segment::create_new(*key, 100, 0o600).unwrap());
    guard.0.remove().unwrap();
    drop(guard);
}

#[test]
fn a_locked_segment_is_listed_as_locked_until_it_is_unlocked() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    segment.lock().unwrap();
    assert!(segment.stat().unwrap().locked);
    segment.unlock().unwrap();
    let stats = table::list().unwrap();
    let listed = stats.iter().find(|stat| stat.shmid == segment.id()).unwrap();
    assert_eq!(*listed, segment.stat().unwrap());
    assert!(!listed.locked);
}

#[test]
fn negative_keys_work() {
    // The negative of a scratch key is as unique as the key.
    let scratch = ScratchKey::new();
    let key = Key::new(-scratch.raw()).unwrap();
    let guard = RemoveOnDrop(Segment::create_new(key, 100, 0o600).unwrap());
    assert_eq!(Segment::open(key), Ok(guard.0));
    let stats = table::list().unwrap();
    assert!(stats.iter().any(|stat| stat.key == key.raw() && stat.shmid == guard.0.id()));
}

#[test]
fn a_private_segment_has_no_key_and_is_found_by_its_id() {
    let guards = [(); 2].map(|()| RemoveOnDrop(Segment::create_private(100, 0o600).unwrap()));
    let [first, second] = &guards;
    assert_ne!(first.0, second.0);
    assert_eq!(first.0.stat().unwrap().key, 0);
    first.0.attach_writable().unwrap().write_at(0, b"text").unwrap();
    let mut copy = [0; 4];
    Segment::from_id(first.0.id()).attach().unwrap().read_at(0, &mut copy);
    assert_eq!(&copy, b"text");
}

#[test]
fn permissions_change_and_the_rest_stays() {
    let segment = RemoveOnDrop(Segment::create_private(100, 0o640).unwrap());
    let before = segment.0.stat().unwrap();
    segment.0.set_permissions(before.uid, before.gid, 0o7600).unwrap();
    let after = segment.0.stat().unwrap();
    assert_eq!(
        (after.mode, after.uid, after.gid, after.size),
        (0o600, before.uid, before.gid, 100)
    );
    assert!(!after.dest, "only the nine permission bits are set");
}

#[test]
fn the_owner_of_a_segment_without_permissions_can_set_some() {
    let segment = RemoveOnDrop(Segment::create_private(100, 0).unwrap());
    let user = fs::metadata("/proc/self").unwrap();
    segment.0.set_permissions(user.uid(), user.gid(), 0o600).unwrap();
    assert_eq!(segment.0.stat().unwrap().mode, 0o600);
}

/// Returns a number of `/proc/meminfo`, or `None` if the kernel does not have it.
fn meminfo(name: &str) -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let line = memory.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn huge_pages_are_reserved_at_the_creation() {
    let reserved = || meminfo("HugePages_Rsvd:").unwrap_or_default();
    let before = reserved();
    match Segment::create_huge(None, 1, 0o600, HugePage::Default) {
        Ok(segment) => {
            let during = reserved();
            segment.remove().unwrap();
            assert!(during > before, "no huge page was reserved");
        }
        // None are free, this user may not, or the kernel has none.
        Err(error) => {
            let errno = error.errno().unwrap();
            let expected = [Errno::ENOMEM, Errno::EPERM, Errno::ENOSYS, Errno::EINVAL];
            assert!(expected.contains(&errno), "{error}");
        }
    }
}
