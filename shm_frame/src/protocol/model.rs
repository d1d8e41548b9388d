//! The protocol on loom's atomics. They try every value that the memory model allows for a load.
//!
//! `RUSTFLAGS='--cfg loom' cargo test --target-dir target/loom --package shm_frame --lib`

use std::sync::atomic::Ordering::{self, Relaxed};

use loom::sync::atomic::{AtomicU64, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{Load, Store, TryReadError, begin, fill, publish, read, writing};
use crate::state::WriteState;

/// Enough for two words of message in a slot, so that a mix is possible.
const WORDS: usize = 16;

impl Load for AtomicU64 {
    fn load(&self) -> u64 {
        self.load(Relaxed)
    }

    fn fence(ordering: Ordering) {
        fence(ordering);
    }
}

impl Store for AtomicU64 {
    fn store(&self, value: u64, ordering: Ordering) {
        self.store(value, ordering);
    }
}

/// A frame, with a mutex instead of the semaphore.
struct Frame {
    words: Vec<AtomicU64>,
    lock: Mutex<()>,
}

impl Frame {
    /// Creates a frame with generation 1 published.
    fn new() -> Arc<Self> {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        let frame = Arc::new(Self { words, lock: Mutex::new(()) });
        frame.write();
        frame
    }

    fn write(&self) {
        let _guard = self.lock.lock().unwrap();
        let generation = begin(&self.words).unwrap();
        fill(&self.words, generation, &message(generation));
        publish(&self.words, generation);
    }

    /// Begins a message and does not publish it, like a writer that is killed.
    fn write_and_die(&self) {
        let _guard = self.lock.lock().unwrap();
        let generation = begin(&self.words).unwrap();
        // The next writer writes a different message with this generation.
        fill(&self.words, generation, &message(generation + 100));
    }

    /// Reads once. The protocol must detect every mix of messages without the checksum.
    fn read(&self) -> Option<u64> {
        let mut copy = Vec::new();
        match read(&self.words, &mut copy) {
            Ok(generation) => {
                assert_eq!(copy, message(generation));
                Some(generation)
            }
            Err(TryReadError::Overtaken) => None,
            Err(error) => panic!("{error:?}: {copy:?}"),
        }
    }

    fn writing(&self, generation: u64) -> WriteState {
        writing(&self.words, generation, || Some(self.lock.try_lock().is_err()))
    }
}

/// Tries every order of events with at most three preemptions. More take hours, and find nothing in
/// protocols of this size.
fn model(events: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(events);
}

/// Returns a message of two words that shows its generation.
fn message(generation: u64) -> Vec<u8> {
    [generation, !generation].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
fn a_reader_gets_whole_messages_while_a_writer_writes_to_both_slots() {
    model(|| {
        let frame = Frame::new();
        let writer = thread::spawn({
            let frame = frame.clone();
            move || (frame.write(), frame.write())
        });
        frame.read();
        writer.join().unwrap();
        assert_eq!((frame.read(), frame.writing(3)), (Some(3), WriteState::Idle));
    });
}

#[test]
fn a_reader_gets_whole_messages_while_one_writer_dies_and_another_one_writes() {
    model(|| {
        let frame = Frame::new();
        frame.write();
        let writers = [Frame::write_and_die, Frame::write].map(|write| {
            let frame = frame.clone();
            thread::spawn(move || write(&frame))
        });
        let read = frame.read();
        assert!(read.is_none_or(|generation| generation == 2 || generation == 3));
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(frame.read(), Some(3));
    });
}

#[test]
fn a_second_read_is_never_older_than_the_first() {
    model(|| {
        let frame = Frame::new();
        let writer = thread::spawn({
            let frame = frame.clone();
            move || frame.write()
        });
        let (first, second) = (frame.read(), frame.read());
        assert!(first <= second, "{first:?} {second:?}");
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_that_publishes_is_never_reported_as_dead() {
    model(|| {
        let frame = Frame::new();
        let writer = thread::spawn({
            let frame = frame.clone();
            move || (frame.write(), frame.write())
        });
        assert_ne!(frame.writing(1), WriteState::Died);
        assert_ne!(frame.writing(2), WriteState::Died);
        writer.join().unwrap();
        assert_eq!(frame.writing(3), WriteState::Idle);
    });
}

#[test]
fn a_dead_writer_is_reported_until_the_next_one_writes() {
    model(|| {
        let frame = Frame::new();
        let writer = thread::spawn({
            let frame = frame.clone();
            move || frame.write_and_die()
        });
        assert_ne!(frame.writing(1), WriteState::Unknown);
        writer.join().unwrap();
        assert_eq!((frame.writing(1), frame.read()), (WriteState::Died, Some(1)));
        frame.write();
        assert_eq!((frame.writing(2), frame.read()), (WriteState::Idle, Some(2)));
    });
}
