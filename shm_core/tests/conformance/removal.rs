//! `shmctl(IPC_RMID)`, and reused ids.

use std::fs;

use shm_core::stat::SegmentId;
use shm_core::{Errno, Origin, Segment, table};
use shm_testkit::scratch::make;
use shm_testkit::{Need, Trial, trials};

use crate::{attached, errno, key};

const NEXT_ID: Need = Need::new(
    "writable kernel.shm_next_id of a new namespace (CONFIG_CHECKPOINT_RESTORE)",
    "echo 0 > /proc/sys/kernel/shm_next_id",
);

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            a_removed_detached_segment_is_gone_at_once,
            the_key_of_a_removed_but_attached_segment_is_free,
            a_removed_but_attached_segment_can_be_attached_by_its_id,
            removing_again_does_not_detach,
            the_stat_of_a_removed_segment_has_dest_and_no_key,
            the_next_segment_has_a_new_id;
        Trial::isolated, &[NEXT_ID] =>
            a_reused_id_means_the_new_segment,
            the_id_of_an_attached_segment_is_not_reused;
    ]
}

fn a_removed_detached_segment_is_gone_at_once() {
    let segment = make(1, 100, 0o600);
    segment.remove().unwrap();
    assert_eq!(errno(Segment::find(key(1))), Errno::ENOENT);
    assert_eq!(errno(segment.stat()), Errno::EINVAL);
    assert_eq!(errno(segment.remove()), Errno::EINVAL);
    assert_eq!(errno(segment.attach()), Errno::EINVAL);
    assert_eq!(table::list().unwrap(), []);
}

fn the_key_of_a_removed_but_attached_segment_is_free() {
    let old = make(1, 100, 0o600);
    let attachment = old.attach_writable().unwrap();
    attachment.write_at(0, b"old").unwrap();
    old.remove().unwrap();
    let (new, origin) = Segment::open_or_create(key(1), 200, 0o600).unwrap();
    assert_eq!(origin, Origin::Created);
    assert_ne!(new, old);
    let mut bytes = [1; 3];
    assert_eq!(new.attach().unwrap().read_at(0, &mut bytes), 3);
    assert_eq!(bytes, [0; 3], "it shares nothing with the removed one");
    new.attach_writable().unwrap().write_at(0, b"new").unwrap();
    assert_eq!(attachment.read_at(0, &mut bytes), 3);
    assert_eq!(&bytes, b"old");
    assert_eq!((attachment.size(), table::list().unwrap().len()), (100, 2));
}

fn a_removed_but_attached_segment_can_be_attached_by_its_id() {
    let segment = make(1, 100, 0o600);
    let first = segment.attach_writable().unwrap();
    segment.remove().unwrap();
    let second = segment.attach().unwrap();
    assert_eq!(attached(segment), 2);
    first.write_at(0, b"x").unwrap();
    drop(first);
    let mut byte = [0];
    assert_eq!(second.read_at(0, &mut byte), 1);
    assert_eq!(&byte, b"x");
    drop(second);
    assert_eq!(errno(segment.attach()), Errno::EINVAL);
}

fn removing_again_does_not_detach() {
    let segment = make(1, 100, 0o600);
    let attachments = [segment.attach_writable().unwrap(), segment.attach_writable().unwrap()];
    for _ in 0..6 {
        segment.remove().unwrap();
    }
    assert_eq!(attached(segment), 2);
    for attachment in attachments {
        attachment.write_at(99, b"x").unwrap();
    }
    assert_eq!(errno(segment.remove()), Errno::EINVAL);
}

fn the_stat_of_a_removed_segment_has_dest_and_no_key() {
    let segment = make(1, 100, 0o640);
    let before = segment.stat().unwrap();
    let _attachment = segment.attach().unwrap();
    segment.remove().unwrap();
    let after = segment.stat().unwrap();
    assert!(!before.dest && after.dest);
    assert_eq!((after.key, after.mode, after.size), (0, 0o640, 100));
    assert_eq!(table::list().unwrap(), [after]);
}

fn the_next_segment_has_a_new_id() {
    let mut before = make(1, 100, 0o600);
    for _ in 0..100 {
        before.remove().unwrap();
        let after = make(1, 100, 0o600);
        assert_ne!(before, after);
        assert_eq!(errno(before.stat()), Errno::EINVAL);
        before = after;
    }
}

/// Asks the kernel to give this id to the next segment.
fn request_id(id: SegmentId) {
    fs::write("/proc/sys/kernel/shm_next_id", id.to_string()).unwrap();
}

fn a_reused_id_means_the_new_segment() {
    let old = make(1, 100, 0o600);
    old.remove().unwrap();
    request_id(old.id());
    let new = make(2, 200, 0o600);
    assert_eq!(old, new);
    // A handle is an id, so calls on it apply to the segment that has the id now.
    let stat = old.stat().unwrap();
    assert_eq!((stat.key, stat.size), (2, 200));
    assert_eq!(old.attach().unwrap().size(), 200);
}

fn the_id_of_an_attached_segment_is_not_reused() {
    let old = make(1, 100, 0o600);
    let attachment = old.attach().unwrap();
    old.remove().unwrap();
    request_id(old.id());
    let new = make(1, 200, 0o600);
    assert_ne!(old, new);
    assert_eq!((old.stat().unwrap().size, attachment.size()), (100, 100));
}
