//! `--id`: a segment that is named by its shmid.

use serde_json::{Value, json};
use shm_core::segment::RemoveOnDrop;
use shm_core::{Address, IpcNamespace, Segment};

use crate::{shm_wr, text_at};

fn private(size: usize) -> (RemoveOnDrop, String) {
    let segment = Segment::create_private(size, 0o600).unwrap();
    (RemoveOnDrop(segment), segment.id().to_string())
}

#[test]
fn a_text_is_written_into_a_segment_without_a_key() {
    let (segment, id) = private(100);
    shm_wr().args(["--id", &id, "hello"]).assert().code(0).stdout("shm write success\n").stderr("");
    assert_eq!(text_at(Address::Id(segment.0.id())), b"hello");
    let output = shm_wr().args(["--id", &id, "--json", "again"]).assert().code(0);
    let answer: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(answer["address"], json!({ "mechanism": "sysv", "shmid": segment.0.id() }));
    assert_eq!((&answer["origin"], &answer["size"]), (&json!("opened"), &json!(100)));
}

#[test]
fn the_size_of_the_segment_limits_the_text() {
    let (segment, id) = private(5);
    shm_wr().args(["--id", &id, "four"]).assert().code(0);
    shm_wr().args(["--id", &id, "fives"]).assert().code(255).stderr(
        "the text does not fit\n\
         cause: 5 bytes have room for 4 bytes of text and a NUL\n\
         hint: give --truncate to cut it, or a larger --size (first remove an existing segment: \
         --remove; --id takes no --size)\n",
    );
    assert_eq!(text_at(Address::Id(segment.0.id())), b"four");
    shm_wr().args(["--id", &id, "--truncate", "fives"]).assert().code(0);
    assert_eq!(text_at(Address::Id(segment.0.id())), b"five");
}

#[test]
fn a_long_text_is_streamed_into_it() {
    let (segment, id) = private(4 << 20);
    let text = vec![b'x'; 3 << 20];
    shm_wr().args(["--id", &id, "--stdin"]).write_stdin(text.clone()).assert().code(0);
    assert_eq!(text_at(Address::Id(segment.0.id())), text);
}

#[test]
fn it_is_removed_and_its_id_is_then_unknown() {
    let (segment, id) = private(100);
    shm_wr().args(["--id", &id, "--remove"]).assert().code(0).stdout("shm remove success\n");
    assert!(segment.0.stat().is_err());
    let namespace = IpcNamespace::current().unwrap();
    for (call, arguments) in [("shmat", ["--id", &id, "x"]), ("shmctl", ["--id", &id, "--remove"])]
    {
        shm_wr().args(arguments).assert().code(255).stderr(format!(
            "{call} failed, errno: 22 msg: Invalid argument\n\
             cause: no segment has id {id} in this IPC namespace, {namespace}: it was removed, or \
             belongs to another namespace\n\
             hint: list the segments of this namespace with their ids: shm_ls\n"
        ));
    }
}
