//! Permissions: every mode, for the owner, for groups and for others, as real users.
//!
//! The trials run as root. They start this program again as other users, with `setpriv`.

use std::env;
use std::io::{self, Write};

use shm_core::{Error, Segment, table};
use shm_testkit::need::ANOTHER_USER;
use shm_testkit::programs::{PublicFolder, run_as};
use shm_testkit::scratch::make;
use shm_testkit::{Trial, count, trials};

use crate::key;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[ANOTHER_USER] =>
            each_of_the_512_modes_grants_its_bits_to_each_kind_of_user,
            only_the_owner_removes_and_locks_with_any_mode;
    ]
}

/// The variable with the action of this program as another user.
const ACTION: &str = "SHM_TEST_ACTION";

const OWNER: &str = "--reuid 1001 --regid 1001 --clear-groups";
const GROUP: &str = "--reuid 1002 --regid 1001 --clear-groups";
const SUPPLEMENTARY: &str = "--reuid 1002 --regid 1002 --groups 1003,1001";
const OTHER: &str = "--reuid 1002 --regid 1002 --clear-groups";
const ROOT: &str = "--reuid 0 --regid 0 --clear-groups";
/// Without capabilities, root is like any other user.
const BARE_ROOT: &str = "--reuid 0 --regid 0 --clear-groups --bounding-set=-all --inh-caps=-all";

/// Starts this program again as another user to do `action`; returns its output.
fn run_child(user: &str, action: &str) -> String {
    let folder = PublicFolder::new();
    let copy = folder.copy(env::current_exe().unwrap());
    let assert = run_as(user, copy).env(ACTION, action).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Does the action for which a trial started this program; returns whether there is one.
pub(crate) fn ran_as_child() -> bool {
    let Ok(action) = env::var(ACTION) else { return false };
    let mut stdout = io::stdout().lock();
    match &*action {
        "make" => (0..0o1000).for_each(|mode| _ = make_with_mode(mode)),
        "access" => (0..0o1000).for_each(|mode| writeln!(stdout, "{}", access(mode)).unwrap()),
        "control" => writeln!(stdout, "{}", control()).unwrap(),
        _ => panic!("{action}"),
    }
    true
}

/// Creates the segment of a mode. Its key is one more than the mode, because 0 is not a key.
fn make_with_mode(mode: u32) -> Segment {
    make(mode.cast_signed() + 1, 100, mode)
}

fn named<T>(answer: Result<T, Error>) -> &'static str {
    answer.map_or_else(|error| error.errno().unwrap().name().unwrap(), |_| "yes")
}

/// The results of the calls on the segment of a mode.
fn access(mode: u32) -> String {
    let key = key(mode.cast_signed() + 1);
    let segment = Segment::find(key).unwrap();
    [
        named(Segment::open(key)),
        named(Segment::open_writable(key, 0)),
        named(segment.attach()),
        named(segment.attach_writable()),
        named(segment.stat()),
    ]
    .join(" ")
}

/// The expected results of the five calls for a user with the permission `bits`. Writing needs reading.
fn expected(bits: u32) -> String {
    let granted = |wanted| if bits & wanted == wanted { "yes" } else { "EACCES" };
    let (read, write) = (granted(4), granted(6));
    // An attachment needs the size of the segment, and that needs read permission.
    [read, write, read, write, read].join(" ")
}

fn each_of_the_512_modes_grants_its_bits_to_each_kind_of_user() {
    run_child(OWNER, "make");
    assert_eq!(table::list().unwrap().len(), 512);
    for (user, shift) in [
        (OWNER, Some(6)),
        (GROUP, Some(3)),
        (SUPPLEMENTARY, Some(3)),
        (OTHER, Some(0)),
        (BARE_ROOT, Some(0)),
        (ROOT, None),
    ] {
        let answers = run_child(user, "access");
        assert_eq!(answers.lines().count(), 512);
        count("calls by other users", &[(answers.split_whitespace().count(), "answers checked")]);
        for (mode, answer) in (0_u32..).zip(answers.lines()) {
            // Root may do everything.
            let bits = shift.map_or(7, |shift| mode >> shift & 7);
            assert_eq!(answer, expected(bits), "mode {mode:04o}, {user}");
        }
    }
    assert!(table::list().unwrap().iter().all(|stat| stat.nattch == 0));
}

/// The results of the calls that only the owner may make, on the segments of mode 0 and 0777.
fn control() -> String {
    let [none, all] = [0, 0o777].map(|mode| Segment::find(key(mode + 1)).unwrap());
    [
        named(none.lock()),
        named(none.unlock()),
        named(all.lock()),
        named(all.unlock()),
        named(none.remove()),
        named(all.remove()),
    ]
    .join(" ")
}

fn only_the_owner_removes_and_locks_with_any_mode() {
    run_child(OWNER, "make");
    for user in [GROUP, SUPPLEMENTARY, OTHER, BARE_ROOT] {
        assert_eq!(run_child(user, "control"), "EPERM EPERM EPERM EPERM EPERM EPERM\n", "{user}");
    }
    assert_eq!(table::list().unwrap().len(), 512);
    assert_eq!(run_child(OWNER, "control"), "yes yes yes yes yes yes\n");
    assert_eq!(table::list().unwrap().len(), 510);
}
