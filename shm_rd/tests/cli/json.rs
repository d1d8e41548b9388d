use serde_json::{Value, json};
use shm_core::{IpcNamespace, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName};

use crate::{put, shm_rd};

/// Runs with `--json`; checks that it prints one line only, and returns it.
fn answer(arguments: &[&str], status: i32) -> Value {
    let assert = shm_rd().arg("--json").args(arguments).assert().code(status).stderr("");
    let stdout = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert_eq!(stdout.matches('\n').count(), 1, "{stdout:?}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_json_of_a_read_segment_is_one_object() {
    let key = ScratchKey::new();
    put(*key, "共享\n\u{1b}\"".as_bytes());
    assert_eq!(
        answer(&["--key", &key.to_string()], 0),
        json!({
            "ok": true,
            "address": { "mechanism": "sysv", "key": key.to_string() },
            "shmid": Segment::find(*key).unwrap().id(),
            "size": 1024,
            "length": 9,
            "text": "共享\n\u{1b}\"",
            "ipc_namespace": IpcNamespace::current().unwrap(),
            "error": null,
        })
    );
}

#[test]
fn a_text_that_is_not_utf_8_is_an_array_of_its_bytes() {
    let key = ScratchKey::new();
    put(*key, b"a\xff");
    let answer = answer(&["--key", &key.to_string()], 0);
    assert_eq!((&answer["text"], &answer["length"]), (&json!([97, 255]), &json!(2)));
}

#[test]
fn an_object_has_a_path_and_no_shmid() {
    let name = ScratchName::new();
    put(name.parse::<shm_core::posix::Name>().unwrap(), b"x");
    let answer = answer(&["--posix", &name], 0);
    let path = format!("/dev/shm{}", &*name);
    assert_eq!(answer["address"], json!({ "mechanism": "posix", "path": path }));
    assert_eq!((&answer["shmid"], &answer["size"]), (&Value::Null, &json!(1024)));
}

#[test]
fn an_error_has_its_call_its_errno_its_cause_and_its_hint() {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(
        answer(&["--file", path], 255),
        json!({
            "ok": false,
            "error": {
                "message": "open failed, errno: 22 msg: Invalid argument",
                "call": "open",
                "errno": 22,
                "errno_name": "EINVAL",
                "cause": format!("{path} is a directory, not a regular file"),
                "hint": "choose a regular file, or one that does not exist yet",
            },
        })
    );
    let key = ScratchKey::new();
    let error = &answer(&["--key", &key.to_string()], 255)["error"];
    assert_eq!((&error["call"], &error["errno_name"]), (&json!("shmget"), &json!("ENOENT")));
}
