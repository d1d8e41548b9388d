//! Seccomp filters: EPERM, ENOSYS.

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
            a_refused_shmget_is_not_taken_for_a_missing_segment,
            what_a_filter_hides_from_shm_ls_is_named;
        Trial::isolated, &[COMPILER, MOUNTS] =>
            the_other_mechanisms_work_without_system_v_calls;
    ]
}

/// A program that runs other programs under a seccomp filter.
struct Filter(tempfile::TempDir);

impl Filter {
    fn compile() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errnos/refuse.c");
        compile(source, folder.path().join("refuse"), &[]);
        Self(folder)
    }

    fn run(&self, errno: u8, calls: &[&str], tool: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0.path().join("refuse"));
        command.arg(errno.to_string()).args(calls).arg("--").arg(tools::path(tool)).args(arguments);
        command
    }
}

const CAUSE: &str = "a seccomp filter is active and may refuse System V IPC";
const HINT: &str = "try --security-opt seccomp=unconfined; if that helps, allow the refused calls \
                    in the profile, such as shmget, shmat, shmdt and shmctl";

fn a_seccomp_filter_is_named_as_the_cause_of_a_refused_call() {
    let filter = Filter::compile();
    let _ = Segment::create_new(DEFAULT_KEY, 1024, 0o600).unwrap();
    for (errno, message) in [(1, "Operation not permitted"), (38, "Function not implemented")] {
        for call in ["shmget", "shmat"] {
            let first = format!("{call} failed, errno: {errno} msg: {message}");
            tells(&mut filter.run(errno, &[call], "shm_wr", &["x"]), &first, CAUSE, HINT);
            tells(&mut filter.run(errno, &[call], "shm_rd", &[]), &first, CAUSE, HINT);
        }
    }
    filter.run(38, &["shmctl"], "shm_ls", &["--limits"]).assert().code(1).stdout("").stderr(
        format!(
            "shmctl failed, errno: 38 msg: Function not implemented\ncause: {CAUSE}\nhint: {HINT}\n"
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

/// The System V shared memory calls. Without these no program gets as far as shmdt.
const ALL: [&str; 3] = ["shmget", "shmat", "shmctl"];

fn a_refused_shmget_is_not_taken_for_a_missing_segment() {
    let filter = Filter::compile();
    let first = "shmget failed, errno: 38 msg: Function not implemented";
    // --wait waits only for a missing segment.
    let wait = &mut filter.run(38, &ALL, "shm_rd", &["--wait=20"]);
    tells(wait.timeout(Duration::from_secs(10)), first, CAUSE, HINT);
    tells(&mut filter.run(38, &ALL, "shm_wr", &["--remove"]), first, CAUSE, HINT);
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
