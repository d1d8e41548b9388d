//! The limits of a namespace: reaching and changing them.

use std::fs;

use shm_core::{Errno, Limits, Segment, Usage, table};
use shm_testkit::need::LIMITS;
use shm_testkit::scratch::make;
use shm_testkit::{Need, Trial, trials};

use crate::{errno, key};

const RMID_FORCED: Need = Need::new(
    "writable kernel.shm_rmid_forced of a new namespace",
    "echo 0 > /proc/sys/kernel/shm_rmid_forced",
);

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[LIMITS] =>
            shmmni_limits_the_number_of_segments,
            shmmax_limits_the_size_of_a_segment,
            shmall_limits_the_number_of_pages,
            a_lowered_limit_keeps_existing_segments;
        Trial::isolated, &[RMID_FORCED] =>
            with_shm_rmid_forced_the_last_detach_removes;
    ]
}

fn set(name: &str, value: u64) {
    fs::write(format!("/proc/sys/kernel/{name}"), value.to_string()).unwrap();
}

fn shmmni_limits_the_number_of_segments() {
    set("shmmni", 3);
    let segments = [1, 2, 3].map(|raw| make(raw, 1, 0o600));
    assert_eq!(errno(Segment::create_new(key(4), 1, 0o600)), Errno::ENOSPC);
    assert_eq!(errno(Segment::open_or_create(key(4), 1, 0o600)), Errno::ENOSPC);
    assert_eq!(Segment::open_or_create(key(3), 1, 0o600).unwrap().0, segments[2]);
    // A removed segment counts until its last detach.
    let attachment = segments[0].attach().unwrap();
    segments[0].remove().unwrap();
    assert_eq!(errno(Segment::create_new(key(4), 1, 0o600)), Errno::ENOSPC);
    drop(attachment);
    let _ = make(4, 1, 0o600);
}

fn shmmax_limits_the_size_of_a_segment() {
    set("shmmax", 5000);
    let _ = make(1, 5000, 0o600);
    for size in [5001, 8192, 1 << 40] {
        assert_eq!(errno(Segment::create_new(key(2), size, 0o600)), Errno::EINVAL, "{size}");
    }
    set("shmmax", 5001);
    let _ = make(2, 5001, 0o600);
}

fn shmall_limits_the_number_of_pages() {
    let page = usize::try_from(Limits::current().unwrap().page_bytes).unwrap();
    set("shmall", 4);
    let three = make(1, 2 * page + 1, 0o600);
    assert_eq!(errno(Segment::create_new(key(2), page + 1, 0o600)), Errno::ENOSPC);
    let _ = make(2, page, 0o600);
    assert_eq!(Usage::current().unwrap().total_pages, 4);
    assert_eq!(errno(Segment::create_new(key(3), 1, 0o600)), Errno::ENOSPC);
    three.remove().unwrap();
    let _ = make(3, 3 * page, 0o600);
}

fn a_lowered_limit_keeps_existing_segments() {
    let segments = [1, 2, 3].map(|raw| make(raw, 10_000, 0o600));
    for (name, value) in [("shmmni", 1), ("shmmax", 100), ("shmall", 1)] {
        set(name, value);
    }
    assert_eq!(table::list().unwrap().len(), 3);
    for (raw, segment) in [1, 2, 3].into_iter().zip(segments) {
        assert_eq!(Segment::open_writable(key(raw), 10_000), Ok(segment));
        segment.attach_writable().unwrap().write_at(9999, b"x").unwrap();
    }
}

fn with_shm_rmid_forced_the_last_detach_removes() {
    set("shm_rmid_forced", 1);
    let segment = make(1, 100, 0o600);
    let attachments = [segment.attach().unwrap(), segment.attach().unwrap()];
    assert_eq!(Segment::find(key(1)), Ok(segment));
    for attachment in attachments {
        assert_eq!(Segment::find(key(1)), Ok(segment));
        drop(attachment);
    }
    assert_eq!(errno(Segment::find(key(1))), Errno::ENOENT);
    assert_eq!(table::list().unwrap(), []);
}
