//! Texts in semaphores and message queues.

use shm_core::limits::{MqueueLimits, QueueLimits, SemaphoreLimits};
use shm_core::table::{queues, semaphores};
use shm_core::{Errno, Error, IpcObject, Origin};
use shm_testkit::scratch::ScratchKey;

/// An IPC object of each kind, with scratch names; dropping it removes them.
struct Scratch(Vec<IpcObject>);

impl Scratch {
    fn new() -> Self {
        let key = *ScratchKey::new();
        Self(vec![IpcObject::Semaphores(key), IpcObject::Queue(key), IpcObject::Mqueue(key)])
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for ipc_object in &self.0 {
            // Some tests have removed it or have not created it.
            let _ = ipc_object.remove();
        }
    }
}

fn errno(result: Result<impl std::fmt::Debug, Error>) -> Errno {
    result.unwrap_err().errno().unwrap()
}

#[test]
fn a_text_can_be_read_repeatedly() {
    for ipc_object in &Scratch::new().0 {
        for text in [&b"hello"[..], b"a longer text than before", b"short", b""] {
            ipc_object.write_text(text, 64, 0o600, false).unwrap();
            for _ in 0..3 {
                assert_eq!(ipc_object.read_text().unwrap(), text, "{ipc_object:?}");
            }
        }
    }
}

#[test]
fn a_missing_object_is_enoent_with_a_cause() {
    for ipc_object in &Scratch::new().0 {
        let error = ipc_object.read_text().unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENOENT), "{ipc_object:?}");
        let call = error.call().unwrap();
        assert!(["semget", "msgget", "mq_open"].contains(&call), "{call}");
        let expected = format!("{call} failed, errno: 2 msg: No such file or directory");
        assert_eq!(error.to_string(), expected);
        assert_eq!(errno(ipc_object.remove()), Errno::ENOENT);
    }
}

#[test]
fn the_first_writer_creates_it_and_the_next_opens_it() {
    for ipc_object in &Scratch::new().0 {
        assert_eq!(ipc_object.write_text(b"a", 8, 0o600, true).unwrap(), Origin::Created);
        assert_eq!(ipc_object.write_text(b"b", 8, 0o600, false).unwrap(), Origin::Opened);
        assert_eq!(errno(ipc_object.write_text(b"c", 8, 0o600, true)), Errno::EEXIST);
        assert_eq!(ipc_object.read_text().unwrap(), b"b");
    }
}

#[test]
fn a_text_that_does_not_fit_is_refused_and_nothing_is_created() {
    for ipc_object in &Scratch::new().0 {
        let refused = ipc_object.write_text(b"12345678", 8, 0o600, false);
        assert!(matches!(refused, Err(Error::OutOfBounds { length: 9, size: 8, .. })));
        assert_eq!(errno(ipc_object.read_text()), Errno::ENOENT);
    }
}

#[test]
fn a_set_of_semaphores_never_grows() {
    let scratch = Scratch::new();
    let semaphores = &scratch.0[0];
    semaphores.write_text(b"1234567", 8, 0o600, false).unwrap();
    let refused = semaphores.write_text(b"123456789", 16, 0o600, false);
    assert!(matches!(refused, Err(Error::OutOfBounds { length: 10, size: 8, .. })), "{refused:?}");
    assert_eq!(semaphores.read_text().unwrap(), b"1234567");
}

#[test]
fn a_text_longer_than_a_message_is_refused_and_the_old_one_stays() {
    let scratch = Scratch::new();
    let queue = &scratch.0[1];
    queue.write_text(b"before", 16 << 10, 0o600, false).unwrap();
    assert_eq!(errno(queue.write_text(&[b'x'; 9000], 16 << 10, 0o600, false)), Errno::EINVAL);
    assert_eq!(queue.read_text().unwrap(), b"before");
    queue.write_text(&[b'x'; 8192], 16 << 10, 0o600, false).unwrap();
    assert_eq!(queue.read_text().unwrap().len(), 8192);
}

#[test]
fn a_text_longer_than_a_posix_queue_allows_is_refused_and_the_old_one_stays() {
    let scratch = Scratch::new();
    let queue = &scratch.0[2];
    queue.write_text(b"before", 8, 0o600, false).unwrap();
    let error = queue.write_text(b"123456789", 64, 0o600, false).unwrap_err();
    assert_eq!((error.call(), error.errno()), (Some("mq_send"), Some(Errno::EMSGSIZE)));
    assert_eq!(queue.read_text().unwrap(), b"before");
    queue.write_text(b"12345678", 64, 0o600, false).unwrap();
    assert_eq!(queue.read_text().unwrap(), b"12345678");
}

#[test]
fn a_removed_object_is_gone() {
    for ipc_object in &Scratch::new().0 {
        ipc_object.write_text(b"a", 8, 0o600, false).unwrap();
        ipc_object.remove().unwrap();
        assert_eq!(errno(ipc_object.read_text()), Errno::ENOENT);
    }
}

#[test]
fn semaphores_and_queues_are_in_the_tables_of_the_kernel() {
    let scratch = Scratch::new();
    let key = scratch.0[0].key().raw();
    for ipc_object in &scratch.0 {
        ipc_object.write_text(b"hello", 64, 0o640, true).unwrap();
    }
    let sets = semaphores::list().unwrap();
    let set = sets.iter().find(|set| set.key == key).unwrap();
    assert_eq!((set.nsems, set.mode), (64, 0o640));
    let queues = queues::list().unwrap();
    let queue = queues.iter().find(|queue| queue.key == key).unwrap();
    assert_eq!((queue.messages, queue.used_bytes, queue.mode), (1, 5, 0o640));
    assert_eq!(queue.lspid, std::process::id());
}

#[test]
fn the_limits_of_semaphores_and_queues_are_those_of_proc() {
    let sysctl = |name: &str| std::fs::read_to_string(format!("/proc/sys/{name}")).unwrap();
    let SemaphoreLimits { max_set_semaphores, max_semaphores, max_operations, max_sets } =
        SemaphoreLimits::current().unwrap();
    let printed = format!("{max_set_semaphores}\t{max_semaphores}\t{max_operations}\t{max_sets}\n");
    assert_eq!(printed, sysctl("kernel/sem"));
    let queues = QueueLimits::current().unwrap();
    assert_eq!(format!("{}\n", queues.max_message_bytes), sysctl("kernel/msgmax"));
    let mqueues = MqueueLimits::current().unwrap();
    assert_eq!(format!("{}\n", mqueues.max_queues), sysctl("fs/mqueue/queues_max"));
}
