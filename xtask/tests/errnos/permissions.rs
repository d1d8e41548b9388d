//! Other users: EACCES, EPERM.

use std::env;
use std::process::ExitCode;

use assert_cmd::Command;
use shm_cli::{DEFAULT_KEY, Failure};
use shm_core::Segment;
use shm_core::stat::SegmentId;
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::{ANOTHER_USER, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::{Trial, tools, trials};

use crate::{shm_rd, shm_wr, tells};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[ANOTHER_USER] =>
            eacces_of_shmget_names_the_user_and_the_segment,
            eacces_of_shmat_says_that_the_segment_can_be_read,
            eperm_of_shmctl_names_the_owner_of_the_segment,
            a_user_with_read_permission_reads_and_cannot_write;
        Trial::isolated, &[ANOTHER_USER, MOUNTS] =>
            eacces_of_shm_open_and_shm_unlink_names_the_user;
    ]
}

/// The variable with the shmid that this program, as another user, attaches for writing.
const ATTACH: &str = "SHM_TEST_ATTACH";

/// Returns a command that runs a copy of a tool as another user.
fn theirs(folder: &PublicFolder, name: &str, arguments: &[&str]) -> Command {
    let mut command = run_as(NOBODY, folder.copy(tools::path(name)));
    command.args(arguments);
    command
}

const AS_OWNER: &str = "run this as its owner; or let the owner remove it and create it again with \
                        a --mode that includes this user, such as 0666";

fn eacces_of_shmget_names_the_user_and_the_segment() {
    let folder = PublicFolder::new();
    shm_wr(&["--mode", "0600", "secret"]).assert().code(0);
    let id = Segment::find(DEFAULT_KEY).unwrap().id();
    let first = "shmget failed, errno: 13 msg: Permission denied";
    let cause = format!("user 65534 may not access segment {id} of user 0, mode 0600, 1024 bytes");
    tells(&mut theirs(&folder, "shm_rd", &[]), first, &cause, AS_OWNER);
    tells(&mut theirs(&folder, "shm_wr", &["x"]), first, &cause, AS_OWNER);
    shm_rd(&["--raw"]).assert().code(0).stdout("secret");
}

fn a_user_with_read_permission_reads_and_cannot_write() {
    let folder = PublicFolder::new();
    shm_wr(&["--mode", "0644", "public"]).assert().code(0);
    theirs(&folder, "shm_rd", &["--raw"]).assert().code(0).stdout("public");
    theirs(&folder, "shm_wr", &["x"]).assert().code(255).stdout("shm write failed\n");
    shm_rd(&["--raw"]).assert().code(0).stdout("public");
}

fn eacces_of_shmat_says_that_the_segment_can_be_read() {
    let folder = PublicFolder::new();
    let segment = Segment::create_new(DEFAULT_KEY, 100, 0o644).unwrap();
    // A tool would fail in shmget before it calls shmat, so this program makes the call.
    let mut attaching = run_as(NOBODY, folder.copy(env::current_exe().unwrap()));
    attaching.env(ATTACH, segment.id().to_string());
    let cause = format!(
        "user 65534 may not access segment {} of user 0, mode 0644, 100 bytes; it can be read",
        segment.id()
    );
    let first = "shmat failed, errno: 13 msg: Permission denied";
    tells(&mut attaching, first, &cause, AS_OWNER);
}

/// Attaches the segment that a trial named, prints the failure like the tools, and returns the exit
/// status; `None` if no trial started this program.
pub(crate) fn attach_if_asked() -> Option<ExitCode> {
    use std::io::{self, Write};

    let id = env::var(ATTACH).ok()?.parse().unwrap();
    let error = Segment::from_id(SegmentId(id)).attach_writable().unwrap_err();
    let mut stderr = io::stderr().lock();
    writeln!(stderr, "{}", Failure::from(error)).unwrap();
    Some(ExitCode::from(255))
}

fn eperm_of_shmctl_names_the_owner_of_the_segment() {
    let folder = PublicFolder::new();
    shm_wr(&["x"]).assert().code(0);
    let segment = Segment::find(DEFAULT_KEY).unwrap();
    tells(
        &mut theirs(&folder, "shm_wr", &["--remove"]),
        "shmctl failed, errno: 1 msg: Operation not permitted",
        &format!(
            "user 65534 is neither owner nor creator of segment {} of user 0, mode 0666, 1024 \
             bytes, and has no CAP_SYS_ADMIN in the user namespace that owns the IPC namespace",
            segment.id()
        ),
        "run this as the segment's owner or as root",
    );
    assert_eq!(Segment::find(DEFAULT_KEY), Ok(segment));
    // That user may remove a segment of its own.
    segment.remove().unwrap();
    theirs(&folder, "shm_wr", &["--mode", "0600", "x"]).assert().code(0);
    theirs(&folder, "shm_wr", &["--remove"]).assert().code(0).stdout("shm remove success\n");
}

fn eacces_of_shm_open_and_shm_unlink_names_the_user() {
    let folder = PublicFolder::new();
    // With the sticky bit, other users cannot remove files of a directory that they may write to.
    mount_tmpfs("/dev/shm", "mode=1777");
    shm_wr(&["--posix", "name", "--mode", "0600", "secret"]).assert().code(0);
    let cause = "user 65534 may not access /dev/shm/name";
    let first = "shm_open failed, errno: 13 msg: Permission denied";
    tells(&mut theirs(&folder, "shm_rd", &["--posix", "name"]), first, cause, AS_OWNER);
    tells(&mut theirs(&folder, "shm_wr", &["--posix", "name", "x"]), first, cause, AS_OWNER);
    let remove = theirs(&folder, "shm_wr", &["--posix", "name", "--remove"]).output().unwrap();
    let said = String::from_utf8(remove.stderr).unwrap();
    // The kernel returns EPERM; glibc's shm_unlink turns it into EACCES, musl's does not.
    assert!(
        ["1 msg: Operation not permitted", "13 msg: Permission denied"].iter().any(|error| {
            said == format!("shm_unlink failed, errno: {error}\ncause: {cause}\nhint: {AS_OWNER}\n")
        }),
        "{said}"
    );
    shm_rd(&["--posix", "name", "--raw"]).assert().code(0).stdout("secret");
}
