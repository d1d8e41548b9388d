use std::time::Duration;

use shm_core::{Errno, Key, Result, SemaphoreSet};
use shm_testkit::scratch::ScratchKey;

const SOON: Duration = Duration::from_millis(50);

fn set(key: Key) -> SemaphoreSet {
    SemaphoreSet::create_new(key, 3, 0o600).unwrap()
}

fn errno<T: std::fmt::Debug>(answer: Result<T>) -> Errno {
    answer.unwrap_err().errno().unwrap()
}

#[test]
fn a_new_set_has_zeroes_and_each_value_is_its_own() {
    let key = ScratchKey::new();
    let set = set(*key);
    assert_eq!([0, 1, 2].map(|number| set.value(number).unwrap()), [0; 3]);
    assert_eq!(set.last_pid(1).unwrap(), None);
    set.set_value(1, 7).unwrap();
    assert_eq!([0, 1, 2].map(|number| set.value(number).unwrap()), [0, 7, 0]);
    assert_eq!(set.last_pid(1).unwrap(), Some(std::process::id()));
}

#[test]
fn a_set_is_found_by_its_key_and_by_how_many_semaphores_it_has() {
    let key = ScratchKey::new();
    assert_eq!(errno(SemaphoreSet::find(*key, 0)), Errno::ENOENT);
    let made = set(*key);
    for open in [SemaphoreSet::find, SemaphoreSet::open, SemaphoreSet::open_writable] {
        assert_eq!(open(*key, 3), Ok(made));
        assert_eq!(errno(open(*key, 4)), Errno::EINVAL);
    }
    assert_eq!(errno(SemaphoreSet::create_new(*key, 3, 0o600)), Errno::EEXIST);
    made.remove().unwrap();
    assert_eq!(errno(made.value(0)), Errno::EINVAL);
}

#[test]
fn numbers_and_values_outside_of_a_set_are_refused() {
    let key = ScratchKey::new();
    let set = set(*key);
    for number in [-1, 3, 65_536] {
        assert_eq!(errno(set.value(number)), Errno::EINVAL, "{number}");
    }
    let too_large = set.set_value(0, 40_000).unwrap_err();
    assert_eq!(too_large.errno(), Some(Errno::ERANGE));
    assert!(too_large.to_string().ends_with("errno: 34 msg: Numerical result out of range"));
    assert_eq!(errno(set.operate_with_undo(&[(3, 1)], SOON)), Errno::EFBIG);
    assert_eq!(errno(set.operate_with_undo(&[], SOON)), Errno::EINVAL);
}

#[test]
fn operations_are_done_all_or_none() {
    let key = ScratchKey::new();
    let set = set(*key);
    set.operate_with_undo(&[(0, 0), (0, 1), (1, 2)], SOON).unwrap();
    assert_eq!([0, 1].map(|number| set.value(number).unwrap()), [1, 2]);
    assert_eq!(errno(set.operate_with_undo(&[(1, 5), (0, 0)], SOON)), Errno::EAGAIN);
    assert_eq!(set.value(1).unwrap(), 2);
}
