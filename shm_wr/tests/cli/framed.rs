use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, starts_with};
use serde_json::{Value, json};
use shm_core::{Errno, IpcNamespace, IpcObject, Key, Segment};
use shm_frame::{Reader, Writer};
use shm_testkit::scratch::ScratchKey;

use crate::shm_wr;

fn on(key: Key) -> assert_cmd::Command {
    let mut command = shm_wr();
    command.timeout(std::time::Duration::from_mins(1));
    command.args(["--framed", "--key", &key.to_string()]);
    command
}

fn message_at(key: Key) -> (u64, Vec<u8>) {
    let mut message = Vec::new();
    (Reader::open(key).unwrap().read(&mut message).unwrap(), message)
}

#[test]
fn each_write_is_the_next_whole_message() {
    let key = ScratchKey::new();
    on(*key).arg("hello").assert().code(0).stdout("shm write success\n").stderr("");
    assert_eq!(message_at(*key), (1, b"hello".to_vec()));
    on(*key).arg("--stdin").write_stdin(&b"a\0b\xff"[..]).assert().code(0);
    assert_eq!(message_at(*key), (2, b"a\0b\xff".to_vec()));
    on(*key).arg("").assert().code(0);
    assert_eq!(message_at(*key), (3, Vec::new()));
    let checksum = "checksum xxh3:9555e8555c62dcfd\n";
    let written = on(*key).args(["--checksum", "hello"]).assert().code(0);
    written.stdout(format!("shm write success\n{checksum}"));
}

#[test]
fn the_json_of_a_written_message_is_one_object() {
    let key = ScratchKey::new();
    let output = on(*key).args(["--json", "--truncate", &"x".repeat(1000)]).assert().code(0);
    assert_eq!(
        serde_json::from_slice::<Value>(&output.get_output().stdout).unwrap(),
        json!({
            "ok": true,
            "address": { "mechanism": "sysv", "key": key.to_string() },
            "shmid": Segment::find(*key).unwrap().id(),
            "origin": "created",
            "capacity": 464,
            "length": 464,
            "truncated": true,
            "generation": 1,
            "ipc_namespace": IpcNamespace::current().unwrap(),
            "error": null,
        })
    );
}

#[test]
fn a_message_that_does_not_fit_is_refused_and_creates_nothing() {
    let key = ScratchKey::new();
    let refused = on(*key).arg("x".repeat(465)).assert().code(255).stdout("shm write failed\n");
    refused.stderr(starts_with(
        "the text does not fit\n\
         cause: a frame of 1024 bytes has two slots of 464 bytes for messages\n",
    ));
    assert!(Segment::find(*key).is_err() && IpcObject::Semaphores(*key).read_text().is_err());
    let longest = "x".repeat(464);
    on(*key).arg(&longest).assert().code(0);
    assert_eq!(message_at(*key), (1, longest.into_bytes()));
    on(*key).arg("--stdin").write_stdin("x".repeat(100_000)).assert().code(255);
    assert_eq!(message_at(*key).0, 1);
}

#[test]
fn a_segment_that_is_not_framed_is_unchanged() {
    let key = ScratchKey::new();
    shm_wr().args(["--key", &key.to_string(), "text"]).assert().code(0);
    on(*key).arg("x").assert().code(255).stderr(
        starts_with("the segment is not framed\ncause: the segment with key ")
            .and(contains("\nhint: omit --framed, choose another --key")),
    );
    on(*key)
        .args(["--create-new", "x"])
        .assert()
        .code(255)
        .stderr(starts_with("shmget failed, errno: 17 msg: File exists\n"));
    assert_eq!(crate::text_at(*key), b"text");
    assert!(IpcObject::Semaphores(*key).read_text().is_err(), "no semaphore is left");
}

#[test]
fn a_writer_that_holds_the_lock_too_long_is_named() {
    let key = ScratchKey::new();
    let limit = std::time::Duration::from_secs(1);
    let writer = Writer::open_or_create(*key, 1024, 0o600, limit).unwrap().0;
    on(*key).arg("x").assert().code(255).stderr(format!(
        "timed out after 5s waiting for the write lock\n\
         cause: process {} holds the write lock: it writes or is stopped\n\
         hint: try again, let that process finish, or end it: the kernel then releases the lock\n",
        std::process::id()
    ));
    drop(writer);
    on(*key).arg("x").assert().code(0);
}

#[test]
fn remove_removes_the_segment_and_the_semaphore() {
    let key = ScratchKey::new();
    on(*key).arg("x").assert().code(0);
    on(*key).arg("--remove").assert().code(0).stdout("shm remove success\n").stderr("");
    assert!(Segment::find(*key).is_err());
    assert_eq!(IpcObject::Semaphores(*key).remove().unwrap_err().errno(), Some(Errno::ENOENT));
    on(*key).arg("--remove").assert().code(255).stderr(starts_with("shmget failed, errno: 2 "));
}

/// Runs the tool as this user, without the capability that overrides modes.
fn bound_by_modes(arguments: &[&str]) -> assert_cmd::Command {
    let script =
        "test $(id -u) != 0 || set -- setpriv --bounding-set=-ipc_owner \"$@\"; exec \"$@\"";
    let mut command = assert_cmd::Command::new("sh");
    command.args(["-c", script, "sh"]).arg(assert_cmd::cargo::cargo_bin!("shm_wr")).args(arguments);
    command
}

#[test]
fn a_mode_without_owner_access_is_refused() {
    let key = ScratchKey::new();
    on(*key).args(["--mode", "0444", "x"]).assert().code(255).stderr(
        "mode 0444 must let the owner read and write\n\
         cause: writers lock a semaphore, which gets the same mode as the segment\n\
         hint: give a --mode that lets the owner read and write, such as 0600 or 0644\n",
    );
    assert!(Segment::find(*key).is_err() && IpcObject::Semaphores(*key).remove().is_err());
}

#[test]
fn the_owner_removes_a_frame_without_access_to_its_semaphore() {
    for with_segment in [false, true] {
        let key = ScratchKey::new();
        let name = key.to_string();
        if with_segment {
            on(*key).arg("x").assert().code(0);
            IpcObject::Semaphores(*key).remove().unwrap();
        }
        // As many semaphores as the lock of a frame; the tool creates them but may not set them.
        let make = ["--object", "sem", "--key", &name, "--size", "13", "--mode", "0444", ""];
        bound_by_modes(&make).assert().code(255).stderr(contains("errno: 13 "));
        bound_by_modes(&["--framed", "--key", &name, "x"]).assert().code(255);
        let remove = ["--framed", "--key", &name, "--remove"];
        bound_by_modes(&remove).assert().code(0).stdout("shm remove success\n");
        assert!(Segment::find(*key).is_err() && IpcObject::Semaphores(*key).remove().is_err());
    }
}

#[test]
fn semaphores_of_another_program_are_refused_and_untouched() {
    let key = ScratchKey::new();
    IpcObject::Semaphores(*key).write_text(b"", 1, 0o600, false).unwrap();
    let message = format!("the set of semaphores with key {} is not the lock of a frame\n", *key);
    on(*key).arg("x").assert().code(255).stderr(starts_with(&*message));
    on(*key).arg("--remove").assert().code(255).stderr(starts_with(&*message));
    shm_wr().args(["--key", &key.to_string(), "text"]).assert().code(0);
    on(*key).arg("x").assert().code(255).stderr(starts_with("the segment is not framed\n"));
    on(*key).arg("--remove").assert().code(255).stderr(starts_with(&*message));
    assert_eq!(crate::text_at(*key), b"text");
    // Any operation would set the time of the last operation.
    let table = std::fs::read_to_string("/proc/sysvipc/sem").unwrap();
    let mut rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    assert_eq!(rows.find(|row| row[0] == key.raw().to_string()).unwrap()[8], "0");
}

#[test]
fn only_segments_are_framed() {
    for address in [["--posix", "a"], ["--file", "a"], ["--object", "sem"]] {
        let refused = shm_wr().arg("--framed").args(address).arg("x").assert();
        refused.code(2).stderr(contains("cannot be used with"));
    }
}
