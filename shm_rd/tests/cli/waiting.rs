use std::thread;
use std::time::{Duration, Instant};

use predicates::str::starts_with;
use shm_core::{Address, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

use crate::{put, shm_rd};

/// Long enough for a reader to look at least once.
const A_WHILE: Duration = Duration::from_millis(300);

#[test]
fn waiting_ends_with_the_text_in_each_mechanism() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    let posix: Address = name.parse::<shm_core::posix::Name>().unwrap().into();
    for (option, value, address) in [
        ("--key", key.to_string(), (*key).into()),
        ("--posix", name.to_string(), posix),
        ("--file", file.to_str().unwrap().to_owned(), file.clone().into()),
    ] {
        let start = Instant::now();
        thread::scope(|scope| {
            let reader = scope.spawn(|| shm_rd().args(["--wait", option, &value]).assert().code(0));
            thread::sleep(A_WHILE);
            put(address, b"late");
            reader.join().unwrap().stdout("l a t e \nshm read success\n").stderr("");
        });
        assert!(start.elapsed() >= A_WHILE, "it waited");
    }
}

#[test]
fn waiting_goes_on_while_the_segment_is_empty() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
    thread::scope(|scope| {
        let key = *key;
        let reader = scope.spawn(move || {
            shm_rd().args(["--wait", "--raw", "--key", &key.to_string()]).assert().code(0)
        });
        thread::sleep(A_WHILE);
        put(key, b"text");
        reader.join().unwrap().stdout("text");
    });
}

#[test]
fn after_its_time_waiting_ends_like_a_read_without_waiting() {
    let key = ScratchKey::new();
    let start = Instant::now();
    shm_rd()
        .args(["--wait=0.3", "--key", &key.to_string()])
        .assert()
        .code(255)
        .stdout("shm read failed\n")
        .stderr(starts_with("shmget failed, errno: 2 msg: No such file or directory\ncause: "));
    assert!(start.elapsed() >= A_WHILE);

    let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
    let empty = shm_rd().args(["--wait=0.1", "--key", &key.to_string()]).assert();
    empty.code(0).stdout("\nshm read success\n");
}

#[test]
fn waiting_zero_seconds_looks_once() {
    let key = ScratchKey::new();
    shm_rd().args(["--wait=0", "--key", &key.to_string()]).assert().code(255);
    put(*key, b"x");
    shm_rd().args(["--wait=0", "--raw", "--key", &key.to_string()]).assert().code(0).stdout("x");
}

#[test]
fn an_existing_text_is_read_without_waiting() {
    let key = ScratchKey::new();
    put(*key, b"x");
    for wait in ["--wait", "--wait=1e300", "--wait=inf"] {
        shm_rd().args([wait, "--raw", "--key", &key.to_string()]).assert().code(0).stdout("x");
    }
}

#[test]
fn an_error_that_waiting_cannot_change_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let refused = shm_rd().arg("--wait").arg("--file").arg(folder.path()).assert();
    refused.code(255).stderr(starts_with("open failed, errno: 22 "));
}

#[test]
fn waiting_goes_on_while_a_segment_comes_and_goes() {
    let key = ScratchKey::new();
    thread::scope(|scope| {
        let key = *key;
        let reader = scope.spawn(move || {
            shm_rd().args(["--wait=15", "--raw", "--key", &key.to_string()]).assert()
        });
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end && !reader.is_finished() {
            Segment::create_new(key, 1024, 0o600).unwrap().remove().unwrap();
        }
        put(key, b"at last");
        reader.join().unwrap().code(0).stdout("at last").stderr("");
    });
}
