use serde_json::{Value, json};
use shm_core::{IpcNamespace, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

use crate::shm_wr;

/// Runs with `--json`; checks that it prints one line only, and returns it.
fn answer(arguments: &[&str], status: i32) -> Value {
    let assert = shm_wr().arg("--json").args(arguments).assert().code(status).stderr("");
    let stdout = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert_eq!(stdout.matches('\n').count(), 1, "{stdout:?}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_json_of_a_written_segment_is_one_object() {
    let key = ScratchKey::new();
    let answers = ["one", "three"].map(|text| answer(&["--key", &key.to_string(), text], 0));
    let shmid = Segment::find(*key).unwrap().id();
    let namespace = serde_json::to_value(IpcNamespace::current().unwrap()).unwrap();
    for (answer, (origin, length)) in answers.iter().zip([("created", 3), ("opened", 5)]) {
        assert_eq!(
            *answer,
            json!({
                "ok": true,
                "address": { "mechanism": "sysv", "key": key.to_string() },
                "shmid": shmid,
                "origin": origin,
                "size": 1024,
                "length": length,
                "truncated": false,
                "ipc_namespace": namespace,
                "error": null,
            })
        );
    }
}

#[test]
fn the_json_of_an_object_or_file_has_a_path_and_no_shmid() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    let file = file.to_str().unwrap();
    let posix = answer(&["--posix", &name, "--size", "3", "--truncate", "abc"], 0);
    assert_eq!(
        posix["address"],
        json!({ "mechanism": "posix", "path": format!("/dev/shm{}", &*name) })
    );
    assert_eq!((&posix["length"], &posix["truncated"]), (&json!(2), &json!(true)));
    let file_answer = answer(&["--file", file, "abc"], 0);
    assert_eq!(file_answer["address"], json!({ "mechanism": "file", "path": file }));
    for answer in [posix, file_answer] {
        assert_eq!((&answer["shmid"], &answer["origin"]), (&Value::Null, &json!("created")));
    }
}

#[test]
fn the_json_of_a_removal_has_the_address() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 1, 0o600).unwrap();
    assert_eq!(
        answer(&["--key", &key.to_string(), "--remove"], 0),
        json!({
            "ok": true,
            "address": { "mechanism": "sysv", "key": key.to_string() },
            "removed": true,
            "error": null,
        })
    );
}

#[test]
fn an_error_of_a_call_has_its_errno_its_cause_and_its_hint() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 10, 0o600).unwrap();
    assert_eq!(
        answer(&["--key", &key.to_string(), "x"], 255),
        json!({
            "ok": false,
            "error": {
                "message": "shmget failed, errno: 22 msg: Invalid argument",
                "call": "shmget",
                "errno": 22,
                "errno_name": "EINVAL",
                "cause": "the segment has 10 bytes, fewer than the requested 1024",
                "hint": "give --size 10, or remove the segment first (--remove)",
            },
        })
    );
}

#[test]
fn an_error_without_a_call_has_no_errno() {
    let key = ScratchKey::new();
    let answer = answer(&["--key", &key.to_string(), "--size", "1", "x"], 255);
    assert_eq!(answer["ok"], false);
    let error = &answer["error"];
    assert_eq!(error["message"], "the text does not fit");
    for field in ["call", "errno", "errno_name"] {
        assert_eq!(error.get(field), Some(&Value::Null), "{field}");
    }
}

#[test]
fn a_missing_text_is_a_json_error_too() {
    let answer = answer(&[], 255);
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["error"]["message"], "place input str, example: ./shm_wr abcd");
    assert_eq!(answer["error"]["hint"], "give TEXT or --stdin");
}
