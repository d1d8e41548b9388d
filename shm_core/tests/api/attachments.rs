use std::thread;

use shm_core::{Error, Segment};
use shm_testkit::scratch::ScratchKey;

#[test]
fn an_attachment_has_the_length_of_the_segment() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 5000, 0o600).unwrap();
    let (segment, _) = Segment::open_or_create(*key, 10, 0o600).unwrap();
    assert_eq!(segment.attach_writable().unwrap().size(), 5000);
    assert_eq!(Segment::open(*key).unwrap().attach().unwrap().size(), 5000);
}

#[test]
fn a_dropped_attachment_is_detached() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    let attached = || segment.stat().unwrap().nattch;
    let (one, two) = (segment.attach().unwrap(), segment.attach_writable().unwrap());
    assert_eq!(attached(), 2);
    drop(one);
    assert_eq!(attached(), 1);
    drop(two);
    assert_eq!(attached(), 0);
}

#[test]
fn a_read_only_segment_can_be_attached_for_reading() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o400).unwrap();
    assert_eq!(segment.attach().unwrap().size(), 100);
}

#[test]
fn nothing_is_read_past_the_end() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    segment.attach_writable().unwrap().write_at(98, b"yz").unwrap();
    let attachment = segment.attach().unwrap();
    let mut buffer = *b"....";
    assert_eq!(attachment.read_at(98, &mut buffer), 2);
    assert_eq!(&buffer, b"yz..");
    for offset in [100, 101, 4096, usize::MAX] {
        assert_eq!(attachment.read_at(offset, &mut buffer), 0, "{offset}");
    }
    assert_eq!(attachment.read_at(0, &mut []), 0);
    assert_eq!(&buffer, b"yz..");
}

#[test]
fn a_write_that_does_not_fit_writes_nothing() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    let attachment = segment.attach_writable().unwrap();
    for (offset, length) in [(98, 3), (100, 1), (101, 0), (usize::MAX, 1), (0, 101)] {
        assert_eq!(
            attachment.write_at(offset, &vec![b'x'; length]),
            Err(Error::OutOfBounds { offset: offset as u64, length: length as u64, size: 100 })
        );
    }
    let mut bytes = [1; 100];
    assert_eq!(attachment.read_at(0, &mut bytes), 100);
    assert_eq!(bytes, [0; 100]);
    attachment.write_at(0, &[b'x'; 100]).unwrap();
    attachment.write_at(100, b"").unwrap();
}

#[test]
fn a_write_in_one_thread_is_read_in_another() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 100, 0o600).unwrap();
    let (writer, reader) = (segment.attach_writable().unwrap(), segment.attach().unwrap());
    thread::scope(|scope| scope.spawn(|| writer.write_at(7, b"shared").unwrap()).join().unwrap());
    let mut bytes = [0; 6];
    thread::scope(|scope| scope.spawn(|| reader.read_at(7, &mut bytes)).join().unwrap());
    assert_eq!(&bytes, b"shared");
}

#[test]
fn concurrent_writes_to_one_word_lose_no_byte() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 8, 0o600).unwrap();
    thread::scope(|scope| {
        for place in 0..8 {
            let attachment = segment.attach_writable().unwrap();
            scope.spawn(move || {
                for byte in 1..=u8::MAX {
                    attachment.write_at(place, &[byte]).unwrap();
                    let mut own = [0];
                    attachment.read_at(place, &mut own);
                    assert_eq!(own, [byte], "at {place}");
                }
            });
        }
    });
}

#[test]
fn bytes_are_written_and_read_at_any_offset_and_length() {
    let key = ScratchKey::new();
    let segment = Segment::create_new(*key, 61, 0o600).unwrap();
    let attachment = segment.attach_writable().unwrap();
    for (offset, length) in (0..18).flat_map(|offset| (0..44).map(move |length| (offset, length))) {
        let bytes: Vec<u8> = (1..=length).collect();
        let mut expected = [b'.'; 61];
        attachment.write_at(0, &expected).unwrap();
        attachment.write_at(offset, &bytes).unwrap();
        expected[offset..offset + bytes.len()].copy_from_slice(&bytes);

        let mut all = [0; 70];
        assert_eq!(attachment.read_at(0, &mut all), 61);
        assert_eq!(all[..61], expected, "{length} bytes at {offset}");
        let mut part = vec![0; bytes.len()];
        assert_eq!(attachment.read_at(offset, &mut part), bytes.len());
        assert_eq!(part, bytes, "{length} bytes at {offset}");
    }
}
