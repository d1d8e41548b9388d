//! `shmget(2)`: keys, `IPC_EXCL`, sizes.

use shm_core::{Errno, Origin, Segment, Usage, table};
use shm_testkit::scratch::make;
use shm_testkit::{Trial, trials};

use crate::{errno, key};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            a_key_finds_the_segment_that_was_made_with_it_and_no_other,
            every_number_except_zero_is_a_distinct_key,
            an_unused_key_is_not_found,
            create_new_refuses_a_taken_key_for_any_size_and_mode,
            a_segment_opens_with_a_smaller_size_but_not_with_a_larger_one,
            a_size_is_exact_and_uses_whole_pages,
            an_invalid_size_creates_nothing,
            opening_with_another_mode_does_not_change_the_mode;
    ]
}

fn a_key_finds_the_segment_that_was_made_with_it_and_no_other() {
    let made: Vec<_> = (1..=50).map(|raw| make(raw, 100, 0o600)).collect();
    for (raw, segment) in (1..=50).zip(&made) {
        assert_eq!(Segment::find(key(raw)), Ok(*segment));
        assert_eq!(Segment::open(key(raw)), Ok(*segment));
        assert_eq!(Segment::open_writable(key(raw), 100), Ok(*segment));
        assert_eq!(Segment::open_or_create(key(raw), 100, 0o600), Ok((*segment, Origin::Opened)));
    }
    let mut ids: Vec<_> = made.iter().map(|segment| segment.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

fn every_number_except_zero_is_a_distinct_key() {
    let keys = [i32::MIN, i32::MIN + 1, -0x8000, -1, 1, 0x7fff, 0x8000, i32::MAX];
    let made = keys.map(|raw| make(raw, 100, 0o600));
    for (raw, segment) in keys.into_iter().zip(made) {
        assert_eq!(Segment::find(key(raw)), Ok(segment), "{raw}");
        assert_eq!(segment.stat().unwrap().key, raw);
    }
    assert_eq!(shm_core::Key::new(0), None, "IPC_PRIVATE does not name a segment");
}

fn an_unused_key_is_not_found() {
    let _ = make(7, 100, 0o600);
    for raw in [6, 8, -7, i32::MIN, i32::MAX] {
        assert_eq!(errno(Segment::find(key(raw))), Errno::ENOENT);
        assert_eq!(errno(Segment::open(key(raw))), Errno::ENOENT);
        assert_eq!(errno(Segment::open_writable(key(raw), 0)), Errno::ENOENT);
        assert_eq!(errno(Segment::open_writable(key(raw), usize::MAX)), Errno::ENOENT);
    }
    assert_eq!(table::list().unwrap().len(), 1, "looking up creates nothing");
}

fn create_new_refuses_a_taken_key_for_any_size_and_mode() {
    let segment = make(1, 100, 0o600);
    let before = segment.stat();
    for size in [0, 1, 100, 101, 1 << 40, usize::MAX] {
        for mode in [0, 0o600, 0o777] {
            assert_eq!(errno(Segment::create_new(key(1), size, mode)), Errno::EEXIST);
        }
    }
    assert_eq!(segment.stat(), before);
}

fn a_segment_opens_with_a_smaller_size_but_not_with_a_larger_one() {
    for (raw, size) in [(1, 1), (2, 100), (3, 4096), (4, 5000)] {
        let segment = make(raw, size, 0o600);
        for fewer in [0, 1, size / 2, size - 1, size] {
            assert_eq!(Segment::open_writable(key(raw), fewer), Ok(segment), "{fewer} of {size}");
        }
        // Not even a size that fits into the last page.
        for more in [size + 1, 2 * size, size + 4096, usize::MAX] {
            assert_eq!(errno(Segment::open_writable(key(raw), more)), Errno::EINVAL);
            assert_eq!(errno(Segment::open_or_create(key(raw), more, 0o600)), Errno::EINVAL);
        }
        assert_eq!(segment.stat().unwrap().size, size as u64);
    }
}

fn a_size_is_exact_and_uses_whole_pages() {
    let page = shm_core::Limits::current().unwrap().page_bytes;
    let page = usize::try_from(page).unwrap();
    let mut pages = 0;
    for (raw, size) in (1..).zip([1, 2, page - 1, page, page + 1, 3 * page - 1, 128 * page]) {
        let segment = make(raw, size, 0o600);
        pages += size.div_ceil(page) as u64;
        assert_eq!(segment.stat().unwrap().size, size as u64);
        assert_eq!(segment.attach().unwrap().size(), size);
        assert_eq!(Usage::current().unwrap().total_pages, pages);
    }
}

fn an_invalid_size_creates_nothing() {
    for size in [0, usize::MAX, usize::MAX / 2 + 1] {
        assert_eq!(errno(Segment::create_new(key(1), size, 0o600)), Errno::EINVAL, "{size}");
        assert_eq!(errno(Segment::open_or_create(key(1), size, 0o600)), Errno::EINVAL, "{size}");
    }
    assert_eq!(table::list().unwrap(), []);
    assert_eq!(Usage::current().unwrap().total_pages, 0);
}

fn opening_with_another_mode_does_not_change_the_mode() {
    let segment = make(1, 100, 0o640);
    let (found, _) = Segment::open_or_create(key(1), 100, 0o777).unwrap();
    assert_eq!(found, segment);
    assert_eq!(segment.stat().unwrap().mode, 0o640);
}
