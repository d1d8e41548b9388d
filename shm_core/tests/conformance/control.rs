//! `shmctl(2)`: data of one segment and of all segments.

use std::fs;

use shm_core::{Limits, Usage, table};
use shm_testkit::scratch::make;
use shm_testkit::{Trial, trials};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            the_stat_of_a_new_segment_matches_its_creation,
            the_listing_has_the_same_data_as_stat,
            one_unlock_undoes_several_locks,
            usage_counts_segments_and_pages,
            the_limits_are_those_of_proc;
    ]
}

fn the_stat_of_a_new_segment_matches_its_creation() {
    for mode in [0, 0o400, 0o222, 0o666, 0o777] {
        let raw = i32::try_from(mode).unwrap() + 1;
        let stat = make(raw, 5000, mode).stat().unwrap();
        assert_eq!((stat.key, stat.mode, stat.size, stat.nattch), (raw, mode, 5000, 0));
        assert_eq!((stat.uid, stat.gid, stat.cuid, stat.cgid), (0, 0, 0, 0));
        assert_eq!((stat.cpid, stat.dest, stat.locked), (std::process::id(), false, false));
    }
}

fn the_listing_has_the_same_data_as_stat() {
    let segments: Vec<_> = (1..=20).map(|raw| make(raw, 1000, 0o600)).collect();
    let _attachments: Vec<_> =
        segments[..9].iter().map(|segment| segment.attach().unwrap()).collect();
    segments[3].lock().unwrap();
    segments[5].remove().unwrap();
    let listed = table::list().unwrap();
    assert_eq!(listed.len(), 20);
    for stat in listed {
        assert_eq!(shm_core::Segment::from_id(stat.shmid).stat().unwrap(), stat);
    }
}

fn one_unlock_undoes_several_locks() {
    let segment = make(1, 100, 0o600);
    let locked = || segment.stat().unwrap().locked;
    segment.unlock().unwrap();
    assert!(!locked());
    segment.lock().unwrap();
    segment.lock().unwrap();
    assert!(locked());
    segment.unlock().unwrap();
    assert!(!locked());
    assert_eq!(segment.stat().unwrap().mode, 0o600, "locking does not change the mode");
}

fn usage_counts_segments_and_pages() {
    let used = || {
        let usage = Usage::current().unwrap();
        (usage.segments, usage.total_pages, usage.resident_pages)
    };
    let page = usize::try_from(Limits::current().unwrap().page_bytes).unwrap();
    assert_eq!(used(), (0, 0, 0));
    let (one, two) = (make(1, 10 * page, 0o600), make(2, 1, 0o600));
    assert_eq!(used(), (2, 11, 0), "memory is allocated on first use");
    let attachment = one.attach_writable().unwrap();
    for number in [0, 4, 9] {
        attachment.write_at(number * page, b"x").unwrap();
    }
    assert_eq!(used(), (2, 11, 3));
    one.remove().unwrap();
    assert_eq!(used(), (2, 11, 3), "a removed but attached segment still counts");
    drop(attachment);
    assert_eq!(used(), (1, 1, 0));
    two.remove().unwrap();
    assert_eq!(used(), (0, 0, 0));
}

fn the_limits_are_those_of_proc() {
    let proc = |name| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    let limits = Limits::current().unwrap();
    assert_eq!(limits.max_segments, proc("shmmni"));
    assert_eq!(limits.max_segment_bytes, proc("shmmax"));
    assert_eq!(limits.max_total_pages, proc("shmall"));
    assert_eq!(limits.min_segment_bytes, 1);
}
