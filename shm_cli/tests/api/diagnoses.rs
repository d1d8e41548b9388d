//! Causes that the tools do not show, because they check first or because the race is rare.

use shm_cli::{Diagnosis, Failure};
use shm_core::posix::Object;
use shm_core::{Access, Errno, Error, IpcNamespace, IpcObject, Key, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

fn message(error: Error) -> String {
    Failure::from(error).to_string()
}

#[test]
fn a_size_of_zero_is_explained() {
    let key = ScratchKey::new();
    assert_eq!(
        message(Segment::create_new(*key, 0, 0o600).unwrap_err()),
        "shmget failed, errno: 22 msg: Invalid argument\n\
         cause: a new segment must have at least 1 byte\n\
         hint: give a larger --size"
    );
}

#[test]
fn a_size_beyond_the_largest_supported_one_is_explained() {
    let key = ScratchKey::new();
    let size = 1 << 63;
    assert_eq!(
        message(Segment::create_new(*key, size, 0o600).unwrap_err()),
        format!(
            "shmget failed, errno: 22 msg: Invalid argument\n\
             cause: {size} bytes exceed the largest size that the kernel supports\n\
             hint: give a smaller --size"
        )
    );
}

#[test]
fn each_call_explains_a_removed_segment() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    segment.remove().unwrap();
    for (call, error) in [
        ("shmat", segment.attach().unwrap_err()),
        ("shmat", segment.attach_writable().unwrap_err()),
        ("shmctl", segment.stat().unwrap_err()),
        ("shmctl", segment.remove().unwrap_err()),
    ] {
        assert_eq!(
            message(error),
            format!(
                "{call} failed, errno: 22 msg: Invalid argument\n\
                 cause: no segment has id {} in this IPC namespace, {}: it was removed, or belongs \
                 to another namespace\n\
                 hint: list the segments of this namespace with their ids: shm_ls",
                segment.id(),
                IpcNamespace::current().unwrap(),
            )
        );
    }
}

#[test]
fn an_object_that_is_gone_after_the_refusal_is_not_said_to_be_refused_by_something_hidden() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    segment.remove().unwrap();
    let id = segment.id();
    let errno = Errno::EACCES;
    let path = std::env::temp_dir().join("shm_cli_test_of_a_file_that_is_gone");
    let file = path.display().to_string();
    for (error, absent) in [
        (Error::Attach { id, write: false, errno }, format!("there is no segment {id}")),
        (
            Error::File { call: "open", path, size: 0, access: Access::Read, errno },
            format!("there is no file {file}"),
        ),
    ] {
        let Diagnosis { cause, hint } = Diagnosis::of(&error).unwrap();
        let unknown = "so the owner and mode that can have refused the call are not known";
        assert_eq!(cause, format!("{absent} now, {unknown}"));
        assert_eq!(hint, "try again");
    }
}

#[test]
fn a_missing_ipc_object_is_explained() {
    let key = ScratchKey::new();
    for object in [IpcObject::Semaphores(*key), IpcObject::Queue(*key), IpcObject::Mqueue(*key)] {
        let message = message(object.read_text().unwrap_err());
        assert!(message.contains(" in this IPC namespace"), "{message}");
    }
}

#[test]
fn a_queue_for_shorter_texts_is_explained() {
    let queue = IpcObject::Mqueue(*ScratchKey::new());
    queue.write_text(b"before", 8, 0o600, false).unwrap();
    let message = message(queue.write_text(b"123456789", 64, 0o600, false).unwrap_err());
    queue.remove().unwrap();
    let cause = "\ncause: the existing message queue was created for shorter texts\n";
    assert!(message.contains(cause));
}

#[test]
fn an_object_larger_than_a_file_can_be_is_explained() {
    let name = ScratchName::new();
    let message = message(Object::create_new(&name.location(), u64::MAX, 0o600).unwrap_err());
    let mut lines = message.lines();
    assert_eq!(lines.next(), Some("posix_fallocate failed, errno: 27 msg: File too large"));
    let cause = lines.next().unwrap();
    let words = "bytes exceed the largest file that the file system of /dev/shm can hold";
    assert_eq!(cause, format!("cause: {} {words}", u64::MAX));
}

#[test]
fn an_error_without_a_call_has_no_diagnosis() {
    let error = Error::OutOfBounds { offset: 1, length: 2, size: 2 };
    assert_eq!(Diagnosis::of(&error), None);
    assert_eq!(message(error), "bytes 1..3 lie outside the 2 available bytes");
    assert_eq!(
        "0".parse::<Key>().map_err(|error| error.to_string()).unwrap_err().lines().count(),
        1
    );
}
