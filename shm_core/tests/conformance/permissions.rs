//! Who may do what: every mode, for the owner, for groups and for others, as real users.
//!
//! The trials are root; this program is started again as other users, through `setpriv`.

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

/// What this program is to do as another user.
const SENT: &str = "SHM_TEST_SENT";

const OWNER: &str = "--reuid 1001 --regid 1001 --clear-groups";
const GROUP: &str = "--reuid 1002 --regid 1001 --clear-groups";
const SUPPLEMENTARY: &str = "--reuid 1002 --regid 1002 --groups 1003,1001";
const OTHER: &str = "--reuid 1002 --regid 1002 --clear-groups";
const ROOT: &str = "--reuid 0 --regid 0 --clear-groups";
/// Root is another user like all where it has none of its capabilities.
const BARE_ROOT: &str = "--reuid 0 --regid 0 --clear-groups --bounding-set=-all --inh-caps=-all";

/// Starts this program again as somebody, to do `what`; returns what that printed.
fn send(somebody: &str, what: &str) -> String {
    let folder = PublicFolder::new();
    let copy = folder.copy(env::current_exe().unwrap());
    let assert = run_as(somebody, copy).env(SENT, what).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Does what a trial has sent this program for.
pub(crate) fn act_if_sent() -> bool {
    let Ok(what) = env::var(SENT) else { return false };
    let mut stdout = io::stdout().lock();
    match &*what {
        "make" => (0..0o1000).for_each(|mode| _ = of_mode(mode)),
        "access" => (0..0o1000).for_each(|mode| writeln!(stdout, "{}", access(mode)).unwrap()),
        "control" => writeln!(stdout, "{}", control()).unwrap(),
        _ => panic!("{what}"),
    }
    true
}

/// Makes the segment of a mode: its key is one more, for 0 is none.
fn of_mode(mode: u32) -> Segment {
    make(mode.cast_signed() + 1, 100, mode)
}

fn named<T>(answer: Result<T, Error>) -> &'static str {
    answer.map_or_else(|error| error.errno().unwrap().name().unwrap(), |_| "yes")
}

/// What each call answers on the segment of a mode.
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

/// What the five calls have to answer to whom the mode grants `bits`: a writer reads, too.
fn expected(bits: u32) -> String {
    let granted = |wanted| if bits & wanted == wanted { "yes" } else { "EACCES" };
    let (read, write) = (granted(4), granted(6));
    // An attachment needs the size, for which one has to be allowed to read.
    [read, write, read, write, read].join(" ")
}

fn each_of_the_512_modes_grants_its_bits_to_each_kind_of_user() {
    send(OWNER, "make");
    assert_eq!(table::list().unwrap().len(), 512);
    for (somebody, shift) in [
        (OWNER, Some(6)),
        (GROUP, Some(3)),
        (SUPPLEMENTARY, Some(3)),
        (OTHER, Some(0)),
        (BARE_ROOT, Some(0)),
        (ROOT, None),
    ] {
        let answers = send(somebody, "access");
        assert_eq!(answers.lines().count(), 512);
        count("calls by other users", &[(answers.split_whitespace().count(), "answers checked")]);
        for (mode, answer) in (0_u32..).zip(answers.lines()) {
            // Root may do everything.
            let bits = shift.map_or(7, |shift| mode >> shift & 7);
            assert_eq!(answer, expected(bits), "mode {mode:04o}, {somebody}");
        }
    }
    assert!(table::list().unwrap().iter().all(|stat| stat.nattch == 0));
}

/// What the calls answer that ask for the owner, on the segment of mode 0 or, last of all, 0777.
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
    send(OWNER, "make");
    for somebody in [GROUP, SUPPLEMENTARY, OTHER, BARE_ROOT] {
        assert_eq!(
            send(somebody, "control"),
            "EPERM EPERM EPERM EPERM EPERM EPERM\n",
            "{somebody}"
        );
    }
    assert_eq!(table::list().unwrap().len(), 512);
    assert_eq!(send(OWNER, "control"), "yes yes yes yes yes yes\n");
    assert_eq!(table::list().unwrap().len(), 510);
}
