//! The lock of writers, and semaphores of another program with the same key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use shm_core::{Errno, IpcObject, Key, Origin, Segment};
use shm_frame::{self as frame, FrameError, LockHolder, WriteState, Writer};
use shm_testkit::scratch::ScratchKey;

use crate::frames::{LIMIT, frame_error, has_semaphore, put, read, writer};

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn only_one_writer_holds_the_lock_and_errors_name_it() {
    let key = ScratchKey::new();
    let first = writer(*key);
    let busy = FrameError::Busy { limit: SHORT, holder: LockHolder::Process(std::process::id()) };
    assert_eq!(frame_error(Writer::open_or_create(*key, 1024, 0o600, SHORT)), busy);
    assert_eq!(frame_error(frame::remove(*key, SHORT)), busy);
    drop(first);
    writer(*key).write(b"x").unwrap();
}

#[test]
fn remove_leaves_neither_segment_nor_semaphore() {
    let key = ScratchKey::new();
    let nothing = |key| Segment::find(key).is_err() && !has_semaphore(key);
    drop(writer(*key));
    frame::remove(*key, LIMIT).unwrap();
    assert!(nothing(*key));
    writer(*key).remove().unwrap();
    assert!(nothing(*key));
    drop(writer(*key));
    Segment::find(*key).unwrap().remove().unwrap();
    frame::remove(*key, LIMIT).unwrap();
    assert!(nothing(*key));
    let _ = Segment::create_new(*key, 10, 0o600).unwrap();
    frame::remove(*key, LIMIT).unwrap();
    assert!(nothing(*key));
    assert_eq!(frame::remove(*key, LIMIT).unwrap_err().errno(), Some(Errno::ENOENT));
}

#[test]
fn a_writer_that_waits_during_a_removal_creates_a_new_frame() {
    let key = ScratchKey::new();
    let mut first = writer(*key);
    first.write(b"old").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Writer::open_or_create(*key, 1024, 0o600, LIMIT).unwrap().1);
        // Long enough for it to wait in most runs; if it comes later, it creates a new one too.
        thread::sleep(Duration::from_millis(200));
        first.remove().unwrap();
        assert_eq!(waiting.join().unwrap(), Origin::Created);
    });
    assert_eq!(frame_error(read(*key)), FrameError::Empty(WriteState::Idle));
    assert!(has_semaphore(*key));
}

#[test]
fn a_frame_that_cannot_be_made_leaves_no_semaphore() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 100, 0o600).unwrap();
    let smaller = Writer::open_or_create(*key, 1024, 0o600, LIMIT).unwrap_err();
    assert_eq!(smaller.errno(), Some(Errno::EINVAL));
    assert!(!has_semaphore(*key));
    let tiny = frame_error(Writer::open_or_create(*key, 111, 0o600, LIMIT));
    assert_eq!(tiny, FrameError::TooSmall { size: 111 });
    assert!(!has_semaphore(*key));
}

/// Creates a set of `count` semaphores, all 0, as a program that holds its locks.
fn hold_locks(key: Key, count: usize) {
    IpcObject::Semaphores(key).write_text(b"", count, 0o600, false).unwrap();
}

/// The time of the last `semop(2)` on the set; 0 for never.
fn last_operation(key: Key) -> u64 {
    let table = std::fs::read_to_string("/proc/sysvipc/sem").unwrap();
    let mut rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[0] == key.raw().to_string()).unwrap();
    row[8].parse().unwrap()
}

#[test]
fn the_semaphores_of_another_program_are_left_alone() {
    for count in [1, 2, 3, 12, 14, 64] {
        let key = ScratchKey::new();
        hold_locks(*key, count);
        let open = || Writer::open_or_create(*key, 1024, 0o600, LIMIT);
        let refused = [
            frame_error(open()),
            frame_error(Writer::create_new(*key, 1024, 0o600, LIMIT)),
            frame_error(frame::remove(*key, LIMIT)),
        ];
        assert_eq!(refused, [(); 3].map(|()| FrameError::NotALock(*key)), "{count}");
        let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
        assert_eq!(frame_error(open()), FrameError::NotALock(*key), "blank: {count}");
        put(*key, 0, b"text");
        assert_eq!(frame_error(open()), FrameError::NotFramed, "{count}");
        assert_eq!(frame_error(frame::remove(*key, LIMIT)), FrameError::NotALock(*key), "{count}");
        assert!(Segment::find(*key).is_ok());
        assert_eq!(last_operation(*key), 0, "{count}");
    }
}

#[test]
fn a_segment_that_is_not_a_frame_is_refused_before_waiting_for_the_lock() {
    let key = ScratchKey::new();
    let _first = writer(*key);
    put(*key, 0, b"text");
    assert_eq!(
        frame_error(Writer::open_or_create(*key, 1024, 0o600, SHORT)),
        FrameError::NotFramed
    );
    let taken = Writer::create_new(*key, 1024, 0o600, SHORT).unwrap_err();
    assert_eq!(taken.errno(), Some(Errno::EEXIST));
}

#[test]
fn with_foreign_semaphores_the_state_of_a_writer_is_unknown() {
    let key = ScratchKey::new();
    writer(*key).write(b"whole").unwrap();
    put(*key, 16, &2_u64.to_ne_bytes());
    IpcObject::Semaphores(*key).remove().unwrap();
    hold_locks(*key, 1);
    let reader = frame::Reader::open(*key).unwrap();
    assert_eq!(reader.writing(1), WriteState::Unknown);
}

#[test]
fn remove_never_removes_the_segment_of_a_writer_that_holds_the_lock() {
    let (key, over) = (ScratchKey::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Err(error) = frame::remove(*key, LIMIT) {
                    assert_eq!(error.errno(), Some(Errno::ENOENT), "{error:?}");
                }
            }
        });
        // A panic here would leave the other thread running.
        let lost = (0..3000).filter(|_| {
            let Ok((writer, _)) = Writer::open_or_create(*key, 1024, 0o600, LIMIT) else {
                return true;
            };
            thread::yield_now();
            let lost = Segment::find(*key) != Ok(writer.segment());
            lost | writer.remove().is_err()
        });
        let lost = lost.count();
        over.store(true, Ordering::Relaxed);
        assert_eq!(lost, 0);
    });
}
