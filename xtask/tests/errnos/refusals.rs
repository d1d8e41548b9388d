//! Seccomp filters: EPERM, EACCES, ENOSYS.

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use predicates::str::{contains, starts_with};
use shm_cli::DEFAULT_KEY;
use shm_core::Segment;
use shm_testkit::isolation::mount_tmpfs;
use shm_testkit::need::{COMPILER, MOUNTS};
use shm_testkit::programs::compile;
use shm_testkit::{Trial, tools, trials};

use crate::tells;

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[COMPILER] =>
            a_seccomp_filter_is_named_as_the_cause_of_a_refused_call,
            a_filter_is_named_for_each_mechanism,
            a_refused_lock_of_a_frame_is_not_taken_for_a_mode,
            a_refused_shmget_is_not_taken_for_a_missing_segment,
            what_a_filter_hides_from_shm_ls_is_named;
        Trial::isolated, &[COMPILER, MOUNTS] =>
            the_other_mechanisms_work_without_system_v_calls;
    ]
}

/// A program that runs other programs under a seccomp filter.
pub(crate) struct Filter(tempfile::TempDir);

impl Filter {
    pub(crate) fn compile() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errnos/refuse.c");
        compile(source, folder.path().join("refuse"), &[]);
        Self(folder)
    }

    pub(crate) fn run(&self, errno: u8, calls: &[&str], tool: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0.path().join("refuse"));
        command.arg(errno.to_string()).args(calls).arg("--").arg(tools::path(tool)).args(arguments);
        command
    }
}

/// Returns the cause and the hint for a call that a filter refuses with EPERM or EACCES. `state` says
/// what was seen of the object, `calls` names the mechanism's.
fn refused(call: &str, state: &str, calls: &str) -> [String; 2] {
    [
        format!("the seccomp filter of this process refuses {call}; {state}"),
        format!(
            "start the container with a profile that allows {calls}; docker, podman: \
             --security-opt seccomp=PROFILE, or seccomp=unconfined for none; compose: security_opt: \
             [\"seccomp=PROFILE\"]; Kubernetes: securityContext.seccompProfile: {{type: Localhost, \
             localhostProfile: PROFILE}}, or {{type: Unconfined}}"
        ),
    ]
}

/// Returns the cause and the hint for a call that a filter refuses with ENOSYS.
fn pretended(call: &str, what: &str, path: &str, calls: &str) -> [String; 2] {
    let [_, hint] = refused(call, "", calls);
    let state = format!("the kernel has {what}, for {path} exists");
    [format!("the seccomp filter of this process refuses {call}: {state}"), hint]
}

const SEGMENTS: &str = "shmget, shmat, shmdt and shmctl";

fn no_system_v(call: &str) -> [String; 2] {
    pretended(call, "System V IPC", "/proc/sysvipc", SEGMENTS)
}

fn a_seccomp_filter_is_named_as_the_cause_of_a_refused_call() {
    let filter = Filter::compile();
    let id = Segment::create_new(DEFAULT_KEY, 1024, 0o600).unwrap().id();
    let state = format!(
        "segment {id} of 1024 bytes belongs to user 0 and has mode 0600, and its mode lets user 0 "
    );
    let messages = [
        (1, "Operation not permitted"),
        (13, "Permission denied"),
        (38, "Function not implemented"),
    ];
    for (errno, message) in messages {
        for call in ["shmget", "shmat"] {
            let first = format!("{call} failed, errno: {errno} msg: {message}");
            for (tool, argument, lets) in
                [("shm_wr", "x", "read and write it"), ("shm_rd", "--raw", "read it")]
            {
                let [cause, hint] = match errno {
                    38 => no_system_v(call),
                    _ => refused(call, &format!("{state}{lets}"), SEGMENTS),
                };
                tells(&mut filter.run(errno, &[call], tool, &[argument]), &first, &cause, &hint);
            }
        }
    }
    let [cause, hint] = no_system_v("shmctl");
    filter.run(38, &["shmctl"], "shm_ls", &["--limits"]).assert().code(1).stdout("").stderr(
        format!(
            "shmctl failed, errno: 38 msg: Function not implemented\ncause: {cause}\nhint: {hint}\n"
        ),
    );
    filter
        .run(38, &["shmctl"], "shm_ls", &["--limits", "--json"])
        .assert()
        .code(1)
        .stdout(starts_with(r#"{"ok":false,"error":{"#))
        .stdout(contains(r#""errno_name":"ENOSYS""#))
        .stderr("");
}

fn a_filter_is_named_for_each_mechanism() {
    let filter = Filter::compile();
    let key = DEFAULT_KEY;
    for (object, call, name, calls) in [
        ("sem", "semget", "set of semaphores with", "semget, semctl, semop and semtimedop"),
        ("msg", "msgget", "message queue with", "msgget, msgsnd, msgrcv and msgctl"),
    ] {
        let state =
            format!("there is no {name} key {key}, and to create it no permission is needed");
        let [cause, hint] = refused(call, &state, calls);
        let first = format!("{call} failed, errno: 1 msg: Operation not permitted");
        let arguments = ["--object", object, "x"];
        tells(&mut filter.run(1, &[call], "shm_wr", &arguments), &first, &cause, &hint);
        let [cause, hint] = pretended(call, "System V IPC", "/proc/sysvipc", calls);
        let first = format!("{call} failed, errno: 38 msg: Function not implemented");
        tells(&mut filter.run(38, &[call], "shm_wr", &arguments), &first, &cause, &hint);
    }
    let calls = "mq_open, mq_unlink, mq_timedsend, mq_timedreceive and mq_getsetattr";
    let arguments = ["--object", "mqueue", "x"];
    let state = "the owner and mode of the directory of the queues are not known, because no mount at \
                 /dev/mqueue shows it";
    let [cause, hint] = refused("mq_open", state, calls);
    let first = "mq_open failed, errno: 1 msg: Operation not permitted";
    tells(&mut filter.run(1, &["mq_open"], "shm_wr", &arguments), first, &cause, &hint);
    // Without POSIX queues a kernel can have System V IPC.
    let [cause, hint] = pretended("mq_open", "POSIX message queues", "/proc/sys/fs/mqueue", calls);
    let first = "mq_open failed, errno: 38 msg: Function not implemented";
    tells(&mut filter.run(38, &["mq_open"], "shm_wr", &arguments), first, &cause, &hint);
}

fn a_refused_lock_of_a_frame_is_not_taken_for_a_mode() {
    let filter = Filter::compile();
    let state = format!(
        "there is no set of semaphores with key {DEFAULT_KEY}, and to create it no permission is \
         needed"
    );
    let [cause, hint] = refused("semget", &state, "semget, semctl, semop and semtimedop");
    let first = "semget failed, errno: 1 msg: Operation not permitted";
    tells(&mut filter.run(1, &["semget"], "shm_wr", &["--framed", "x"]), first, &cause, &hint);
}

/// The System V shared memory calls. Without these no program gets as far as shmdt.
const ALL: [&str; 3] = ["shmget", "shmat", "shmctl"];

fn a_refused_shmget_is_not_taken_for_a_missing_segment() {
    let filter = Filter::compile();
    let first = "shmget failed, errno: 38 msg: Function not implemented";
    // --wait waits only for a missing segment.
    let wait = &mut filter.run(38, &ALL, "shm_rd", &["--wait=20"]);
    let [cause, hint] = no_system_v("shmget");
    tells(wait.timeout(Duration::from_secs(10)), first, &cause, &hint);
    tells(&mut filter.run(38, &ALL, "shm_wr", &["--remove"]), first, &cause, &hint);
}

fn what_a_filter_hides_from_shm_ls_is_named() {
    let filter = Filter::compile();
    let _ = Segment::create_new(DEFAULT_KEY, 1024, 0o600).unwrap();
    let reason = "shmctl failed, errno: 38 msg: Function not implemented";
    let page = filter.run(38, &["shmctl"], "shm_ls", &["--all-objects"]).assert().code(0);
    page.stdout(contains(format!("\nnot read: the limits of segments: {reason}\n")))
        .stdout(contains(format!("\nnot read: the use of segments: {reason}\n")))
        .stdout(contains("\n0x0134b3d5 "))
        .stderr("");
    let listing = filter.run(38, &["shmctl"], "shm_ls", &["--json"]).assert().code(0);
    listing
        .stdout(contains(format!(r#""limits":{{"not_read":"{reason}"}}"#)))
        .stdout(contains(r#""segments":[{"key":"0x0134b3d5""#));
}

fn the_other_mechanisms_work_without_system_v_calls() {
    mount_tmpfs("/dev/shm", "mode=1777");
    let filter = Filter::compile();
    for address in [["--posix", "name"], ["--file", "/dev/shm/file"]] {
        for (tool, argument) in [("shm_wr", "x"), ("shm_rd", "--raw"), ("shm_wr", "--remove")] {
            let [option, value] = address;
            filter.run(38, &ALL, tool, &[option, value, argument]).assert().code(0).stderr("");
        }
    }
}
