//! `shmat(2)` and `shmdt(2)`.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shm_core::stat::SegmentId;
use shm_core::{Attachment, Errno, Segment};
use shm_testkit::scratch::make;
use shm_testkit::{Trial, trials};

use crate::{attached, errno};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            each_attachment_counts_until_it_is_detached,
            a_detached_segment_keeps_its_bytes,
            each_attachment_maps_the_whole_segment,
            a_segment_is_mapped_with_the_requested_access_until_the_detach,
            calls_with_an_invalid_id_fail,
            stat_has_the_times_and_the_process_of_the_last_attach_and_detach,
            concurrent_attaches_and_detaches_leave_no_attachment;
    ]
}

fn each_attachment_counts_until_it_is_detached() {
    let segment = make(1, 100, 0o600);
    let mut attachments = Vec::new();
    for count in 0..64 {
        assert_eq!(attached(segment), count);
        attachments.push(segment.attach().unwrap());
    }
    for count in (0..64).rev() {
        drop(attachments.pop());
        assert_eq!(attached(segment), count);
    }
}

fn a_detached_segment_keeps_its_bytes() {
    let segment = make(1, 10_000, 0o600);
    for round in 0..10 {
        let attachment = segment.attach_writable().unwrap();
        attachment.write_at(1000 * round, &[b'a' + u8::try_from(round).unwrap(); 1000]).unwrap();
    }
    let mut bytes = [0; 10_000];
    assert_eq!(segment.attach().unwrap().read_at(0, &mut bytes), 10_000);
    for (round, thousand) in (b'a'..).zip(bytes.chunks(1000)) {
        assert!(thousand.iter().all(|byte| *byte == round));
    }
}

fn each_attachment_maps_the_whole_segment() {
    let made = make(1, 5000, 0o600);
    let found = Segment::open_writable(crate::key(1), 10).unwrap();
    let (one, two) = (made.attach_writable().unwrap(), found.attach_writable().unwrap());
    let reader = found.attach().unwrap();
    let last = |attachment: &Attachment| {
        let mut byte = [0];
        assert_eq!(attachment.read_at(4999, &mut byte), 1);
        byte[0]
    };
    one.write_at(4999, b"x").unwrap();
    assert_eq!((last(&two), last(&reader)), (b'x', b'x'));
    two.write_at(4999, b"y").unwrap();
    drop(two);
    assert_eq!((last(&one), last(&reader)), (b'y', b'y'));
}

/// The length in bytes and the permissions of each mapping of a segment in this process.
fn mappings() -> Vec<(u64, String)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let number = |digits| u64::from_str_radix(digits, 16).unwrap();
    let segments = maps.lines().filter(|line| line.contains("/SYSV00000001"));
    segments
        .map(|line| {
            let mut columns = line.split_whitespace();
            let (start, end) = columns.next().unwrap().split_once('-').unwrap();
            (number(end) - number(start), columns.next().unwrap().to_owned())
        })
        .collect()
}

fn a_segment_is_mapped_with_the_requested_access_until_the_detach() {
    let page = shm_core::Limits::current().unwrap().page_bytes;
    let segment = make(1, 5000, 0o600);
    let length = 5000_u64.next_multiple_of(page);
    let reader = segment.attach().unwrap();
    assert_eq!(mappings(), [(length, "r--s".to_owned())]);
    let writer = segment.attach_writable().unwrap();
    let mut both = mappings();
    both.sort();
    assert_eq!(both, [(length, "r--s".to_owned()), (length, "rw-s".to_owned())]);
    drop(reader);
    assert_eq!(mappings(), [(length, "rw-s".to_owned())]);
    drop(writer);
    assert_eq!(mappings(), []);
}

fn calls_with_an_invalid_id_fail() {
    let there = make(1, 100, 0o600);
    // The last id has the same index with another sequence number.
    let sequence = 1 << 15;
    for id in [-1, i32::MIN, i32::MAX, there.id().0 + 1, there.id().0 + sequence] {
        let segment = Segment::from_id(SegmentId(id));
        for answer in [
            segment.attach().map(drop),
            segment.attach_writable().map(drop),
            segment.stat().map(drop),
            segment.lock(),
            segment.unlock(),
            segment.remove(),
        ] {
            let errno = errno(answer);
            assert!([Errno::EINVAL, Errno::EIDRM].contains(&errno), "{id}: {errno:?}");
        }
    }
    assert_eq!(attached(there), 0);
}

fn stat_has_the_times_and_the_process_of_the_last_attach_and_detach() {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_secs()).unwrap()
    };
    let start = now();
    let segment = make(1, 100, 0o600);
    let made = segment.stat().unwrap();
    assert_eq!((made.atime, made.dtime, made.lpid), (0, 0, 0));
    assert!((start..=now()).contains(&made.ctime));

    // The times are in seconds.
    thread::sleep(Duration::from_millis(1100));
    let before = now();
    let attachment = segment.attach().unwrap();
    let held = segment.stat().unwrap();
    assert!((before..=now()).contains(&held.atime));
    assert_eq!((held.dtime, held.lpid), (0, std::process::id()));

    thread::sleep(Duration::from_millis(1100));
    let before = now();
    drop(attachment);
    let left = segment.stat().unwrap();
    assert!((before..=now()).contains(&left.dtime));
    assert_eq!((left.atime, left.lpid), (held.atime, std::process::id()));
    assert_eq!([held.ctime, left.ctime], [made.ctime; 2], "attaching does not change ctime");
}

fn concurrent_attaches_and_detaches_leave_no_attachment() {
    let segment = make(1, 10_000, 0o600);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let (one, two) =
                        (segment.attach().unwrap(), segment.attach_writable().unwrap());
                    drop(one);
                    two.write_at(9999, b"x").unwrap();
                }
            });
        }
    });
    assert_eq!(attached(segment), 0);
    assert_eq!(mappings(), []);
}
