//! Whole messages: reads and writes, memory that is not a frame, and hostile memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use shm_core::{Errno, IpcObject, Key, Origin, Segment};
use shm_frame::{self as frame, Error, FrameError, Reader, WriteState, Writer};
use shm_testkit::scratch::ScratchKey;

pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// The offsets of the header's words, in bytes.
const PUBLISHED: usize = 8;
const BEGUN: usize = 16;
const SLOT_OF_ODD_GENERATIONS: usize = 64 + 480;

pub(crate) fn writer(key: Key) -> Writer {
    Writer::open_or_create(key, 1024, 0o600, LIMIT).unwrap().0
}

pub(crate) fn read(key: Key) -> Result<(u64, Vec<u8>), Error> {
    let mut message = b"left over".to_vec();
    let generation = Reader::open(key)?.read(&mut message)?;
    Ok((generation, message))
}

/// Writes without the protocol.
pub(crate) fn put(key: Key, offset: usize, bytes: &[u8]) {
    Segment::open(key).unwrap().attach_writable().unwrap().write_at(offset, bytes).unwrap();
}

fn put_word(key: Key, offset: usize, word: u64) {
    put(key, offset, &word.to_ne_bytes());
}

pub(crate) fn frame_error<T: std::fmt::Debug>(result: Result<T, Error>) -> FrameError {
    match result.unwrap_err() {
        Error::Frame { error, .. } => error,
        Error::Call(error) => panic!("{error:?}"),
    }
}

pub(crate) fn has_semaphore(key: Key) -> bool {
    IpcObject::Semaphores(key).read_text().is_ok()
}

#[test]
fn a_message_can_be_read_repeatedly() {
    let key = ScratchKey::new();
    let longest = vec![b'x'; frame::capacity(1024)];
    for (text, generation) in
        [&b"one"[..], b"", b"a\0b", b"12345678", &longest, b"last"].iter().zip(1..)
    {
        assert_eq!(writer(*key).write(text), Ok(generation));
        for _ in 0..3 {
            assert_eq!(read(*key), Ok((generation, text.to_vec())));
        }
    }
}

#[test]
fn an_open_reader_sees_each_published_message() {
    let key = ScratchKey::new();
    let mut writer = writer(*key);
    let (reader, mut message) = (Reader::open(*key).unwrap(), Vec::new());
    assert_eq!(frame_error(reader.read(&mut message)), FrameError::Empty(WriteState::Idle));
    for generation in 1..10 {
        assert_eq!(reader.generation(), generation - 1);
        writer.write(&generation.to_ne_bytes()).unwrap();
        assert_eq!(reader.read(&mut message), Ok(generation));
        assert_eq!(message, generation.to_ne_bytes());
    }
}

#[test]
fn a_message_that_does_not_fit_is_refused_and_the_old_one_stays() {
    let key = ScratchKey::new();
    let mut writer = writer(*key);
    writer.write(b"before").unwrap();
    assert_eq!(
        writer.write(&vec![b'x'; writer.capacity() + 1]),
        Err(shm_core::Error::OutOfBounds { offset: 0, length: 465, size: 464 }.into())
    );
    assert_eq!(read(*key), Ok((1, b"before".to_vec())));
}

#[test]
fn the_first_writer_creates_the_frame_and_the_next_opens_it() {
    let key = ScratchKey::new();
    let open = || Writer::open_or_create(*key, 1024, 0o600, LIMIT).unwrap().1;
    assert_eq!((open(), open()), (Origin::Created, Origin::Opened));
    let again = Writer::create_new(*key, 1024, 0o600, LIMIT).unwrap_err();
    assert_eq!(again.errno(), Some(Errno::EEXIST));
    assert!(has_semaphore(*key), "the semaphores of the first writer stay");
}

#[test]
fn an_unfinished_message_is_reported_until_the_next_write() {
    let key = ScratchKey::new();
    let mut first = writer(*key);
    put_word(*key, BEGUN, 1);
    assert_eq!(frame_error(read(*key)), FrameError::Empty(WriteState::UnderWay));
    put_word(*key, BEGUN, 0);
    first.write(b"whole").unwrap();
    put_word(*key, BEGUN, 2);
    let reader = Reader::open(*key).unwrap();
    assert_eq!(reader.writing(1), WriteState::UnderWay);
    drop(first);
    assert_eq!(read(*key), Ok((1, b"whole".to_vec())));
    assert_eq!(reader.writing(1), WriteState::Died);
    assert_eq!(writer(*key).write(b"next"), Ok(2));
    assert_eq!((reader.writing(1), reader.writing(2)), (WriteState::Idle, WriteState::Idle));
    put_word(*key, BEGUN, 3);
    IpcObject::Semaphores(*key).remove().unwrap();
    assert_eq!(reader.writing(2), WriteState::Unknown);
}

#[test]
fn a_segment_that_is_not_a_frame_is_refused_and_unchanged() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
    let open = || Writer::open_or_create(*key, 1024, 0o600, LIMIT);
    put(*key, 1023, b"x");
    assert_eq!(frame_error(Reader::open(*key)), FrameError::Blank);
    assert_eq!(frame_error(open()), FrameError::NotFramed);
    put(*key, 0, b"hello_world");
    assert_eq!(frame_error(Reader::open(*key)), FrameError::NotFramed);
    assert_eq!(frame_error(open()), FrameError::NotFramed);
    put(*key, 0, b"\0\x02MRFMHS");
    assert_eq!(frame_error(Reader::open(*key)), FrameError::ByteOrder);
    assert_eq!(frame_error(open()), FrameError::ByteOrder);
    let mut bytes = [0; 8];
    Segment::open(*key).unwrap().attach().unwrap().read_at(0, &mut bytes);
    assert_eq!(&bytes, b"\0\x02MRFMHS");
}

#[test]
fn a_frame_of_another_version_is_refused_and_unchanged() {
    let key = ScratchKey::new();
    writer(*key).write(b"message").unwrap();
    let bytes = || {
        let mut bytes = [0; 1024];
        Segment::open(*key).unwrap().attach().unwrap().read_at(0, &mut bytes);
        bytes
    };
    for version in [0, 1, 3, u8::MAX] {
        put(*key, 0, &[&b"SHMFRM"[..], &[version, 0]].concat());
        let before = bytes();
        assert_eq!(frame_error(Reader::open(*key)), FrameError::Version(version.into()));
        let open = Writer::open_or_create(*key, 1024, 0o600, LIMIT);
        assert_eq!(frame_error(open), FrameError::Version(version.into()));
        Writer::create_new(*key, 1024, 0o600, LIMIT).unwrap_err();
        assert_eq!(bytes(), before);
        assert!(has_semaphore(*key));
    }
    assert_eq!(FrameError::Version(1).to_string(), "the frame has version 1, not 2");
    put(*key, 0, b"SHMFRM\x02\0");
    assert_eq!(read(*key), Ok((1, b"message".to_vec())));
}

#[test]
fn a_blank_segment_becomes_a_frame() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
    assert_eq!(frame_error(Reader::open(*key)), FrameError::Blank);
    let (mut writer, origin) = Writer::open_or_create(*key, 1024, 0o600, LIMIT).unwrap();
    assert_eq!((origin, writer.write(b"x")), (Origin::Opened, Ok(1)));
}

#[test]
fn a_segment_too_small_for_a_frame_is_refused() {
    for size in [1, 8, 24, 111] {
        let key = ScratchKey::new();
        let segment = Segment::create_new(*key, size, 0o600).unwrap();
        let mark = b"SHMFRM\x02\0";
        let attachment = segment.attach_writable().unwrap();
        attachment.write_at(0, &mark[..size.min(8)]).unwrap();
        let expected = if size < 8 {
            FrameError::Blank
        } else {
            FrameError::TooSmall { size: size as u64 / 8 * 8 }
        };
        assert_eq!(frame_error(Reader::open(*key)), expected, "{size} bytes");
    }
}

#[test]
fn a_changed_message_and_a_wrong_length_are_refused() {
    let key = ScratchKey::new();
    writer(*key).write(b"message").unwrap();
    put(*key, SLOT_OF_ODD_GENERATIONS + 16, b"M");
    assert_eq!(frame_error(read(*key)), FrameError::Checksum);
    put_word(*key, SLOT_OF_ODD_GENERATIONS, 465);
    assert_eq!(frame_error(read(*key)), FrameError::TooLong { length: 465, capacity: 464 });
    put_word(*key, SLOT_OF_ODD_GENERATIONS, u64::MAX);
    assert_eq!(frame_error(read(*key)), FrameError::TooLong { length: u64::MAX, capacity: 464 });
    let reader = Reader::open(*key).unwrap();
    let mut message = b"left over".to_vec();
    reader.read(&mut message).unwrap_err();
    assert_eq!(message, b"");
}

/// The resident bytes of a segment.
fn resident(segment: Segment) -> u64 {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let mut rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1] == segment.id().to_string()).unwrap();
    row[14].parse().unwrap()
}

#[test]
fn making_a_frame_of_a_blank_segment_touches_little_memory() {
    let key = ScratchKey::new();
    let size = 64 << 20;
    let segment = Segment::create_new(*key, size, 0o600).unwrap();
    let (mut writer, origin) = Writer::open_or_create(*key, size, 0o600, LIMIT).unwrap();
    assert_eq!((origin, writer.write(b"x")), (Origin::Opened, Ok(1)));
    assert!(resident(segment) <= 1 << 20, "{}", resident(segment));
}

#[test]
fn a_mode_without_owner_access_is_refused_and_nothing_is_created() {
    let key = ScratchKey::new();
    for mode in [0, 0o400, 0o200, 0o444, 0o066] {
        let refused = frame_error(Writer::open_or_create(*key, 1024, mode, LIMIT));
        assert_eq!(refused, FrameError::Mode(mode));
        assert_eq!(
            frame_error(Writer::create_new(*key, 1024, mode, LIMIT)),
            FrameError::Mode(mode)
        );
    }
    assert!(Segment::find(*key).is_err() && !has_semaphore(*key));
}

#[test]
fn impossible_generations_are_refused_at_once() {
    let key = ScratchKey::new();
    writer(*key).write(b"message").unwrap();
    for (published, begun) in [(1, 3), (1, 0), (2, 1), (u64::MAX, 7), (7, u64::MAX)] {
        put_word(*key, PUBLISHED, published);
        put_word(*key, BEGUN, begun);
        assert_eq!(frame_error(read(*key)), FrameError::Generations, "{published} {begun}");
    }
    put_word(*key, PUBLISHED, u64::MAX);
    assert_eq!(frame_error(writer(*key).write(b"x")), FrameError::Generations);
}

#[test]
fn generations_that_change_all_the_time_are_an_error() {
    let key = ScratchKey::new();
    writer(*key).write(b"message").unwrap();
    let reader = Reader::open(*key).unwrap();
    let over = AtomicBool::new(false);
    let segment = Segment::open(*key).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let attachment = segment.attach_writable().unwrap();
            for generation in (3_u64..).step_by(5) {
                attachment.write_at(PUBLISHED, &generation.to_ne_bytes()).unwrap();
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        while reader.generation() == 1 {
            thread::yield_now();
        }
        // If the thread pauses, the generations do not change and the error is another one.
        let unsteady =
            |error| matches!(error, Error::Frame { error: FrameError::Unsteady { .. }, .. });
        let ended = (0..1000).any(|_| reader.read(&mut Vec::new()).is_err_and(unsteady));
        over.store(true, Ordering::Relaxed);
        assert!(ended);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_reader_is_given_what_the_last_writer_wrote(
        size in 112_usize..4096,
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..8),
    ) {
        let key = ScratchKey::new();
        let mut last = None;
        for message in messages {
            let mut writer = Writer::open_or_create(*key, size, 0o600, LIMIT).unwrap().0;
            match writer.write(&message) {
                Ok(generation) => last = Some((generation, message)),
                Err(_) => prop_assert!(message.len() > frame::capacity(size)),
            }
        }
        prop_assert_eq!(read(*key).ok(), last);
        frame::remove(*key, LIMIT).unwrap();
    }

    #[test]
    fn whatever_lies_behind_a_mark_is_a_message_or_an_error(
        size in 8_usize..2048,
        words in proptest::collection::vec(
            prop_oneof![0_u64..4, Just(464), Just(u64::MAX), any::<u64>()], 256),
    ) {
        let key = ScratchKey::new();
        let _ = Segment::create_new(*key, size, 0o600).unwrap();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        put(*key, 0, &bytes[..size]);
        put(*key, 0, b"SHMFRM\x02\0");
        match read(*key) {
            Ok((generation, message)) => {
                prop_assert!(generation > 0 && message.len() <= frame::capacity(size));
            }
            Err(error) => prop_assert!(matches!(error, Error::Frame { .. }), "{error:?}"),
        }
        if frame::capacity(size) > 0 {
            // A writer repairs everything except a generation without a successor.
            let mut writer = Writer::open_or_create(*key, size, 0o600, LIMIT).unwrap().0;
            if let Ok(generation) = writer.write(b"repaired") {
                prop_assert_eq!(read(*key), Ok((generation, b"repaired".to_vec())));
            }
        }
    }
}
