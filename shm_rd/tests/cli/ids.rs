//! `--id`: a segment that is named by its shmid.

use serde_json::{Value, json};
use shm_core::segment::RemoveOnDrop;
use shm_core::{Address, IpcNamespace, Segment};

use crate::{put, shm_rd};

#[test]
fn a_segment_without_a_key_is_read() {
    let segment = RemoveOnDrop(Segment::create_private(1024, 0o600).unwrap());
    let id = segment.0.id();
    put(Address::Id(id), b"hello");
    let named = ["--id", &id.to_string()];
    shm_rd().args(named).assert().code(0).stdout("h e l l o \nshm read success\n").stderr("");
    shm_rd().args(named).arg("--raw").assert().code(0).stdout("hello");
    let output = shm_rd().args(named).arg("--json").assert().code(0);
    let answer: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(answer["address"], json!({ "mechanism": "sysv", "shmid": id }));
    assert_eq!((&answer["shmid"], &answer["text"]), (&json!(id), &json!("hello")));
}

#[test]
fn an_unknown_id_is_explained() {
    let segment = Segment::create_private(1024, 0o600).unwrap();
    segment.remove().unwrap();
    let (id, namespace) = (segment.id(), IpcNamespace::current().unwrap());
    let mut reader = shm_rd();
    let failed = reader.args(["--id", &id.to_string()]).assert().code(255);
    failed.stdout("shm read failed\n").stderr(format!(
        "shmat failed, errno: 22 msg: Invalid argument\n\
         cause: no segment has id {id} in this IPC namespace, {namespace}: it was removed, or \
         belongs to another namespace\n\
         hint: list the segments of this namespace with their ids: shm_ls\n"
    ));
}
