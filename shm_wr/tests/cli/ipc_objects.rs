use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, starts_with};
use shm_core::{IpcObject, Key};
use shm_testkit::scratch::ScratchKey;

use crate::shm_wr;

/// The arguments for each kind, and the IPC object that they name.
fn ipc_objects(key: Key) -> [(Vec<String>, IpcObject); 3] {
    let args = |object: &str| ["--object", object, "--key", &key.to_string()].map(str::to_owned);
    [
        (args("sem").to_vec(), IpcObject::Semaphores(key)),
        (args("msg").to_vec(), IpcObject::Queue(key)),
        (args("mqueue").to_vec(), IpcObject::Mqueue(key)),
    ]
}

#[test]
fn semaphores_and_queues_are_written_like_segments() {
    for (args, ipc_object) in ipc_objects(*ScratchKey::new()) {
        shm_wr().args(&args).arg("hello").assert().code(0).stdout("shm write success\n").stderr("");
        assert_eq!(ipc_object.read_text().unwrap(), b"hello");
        shm_wr().args(&args).arg("--stdin").write_stdin("again").assert().code(0);
        assert_eq!(ipc_object.read_text().unwrap(), b"again");
        shm_wr()
            .args(&args)
            .args(["--create-new", "x"])
            .assert()
            .code(255)
            .stdout("shm write failed\n")
            .stderr(
                contains("get failed, errno: 17 msg").or(contains("mq_open failed, errno: 17")),
            );
        shm_wr().args(&args).arg("--remove").assert().code(0).stdout("shm remove success\n");
        shm_wr().args(&args).arg("--remove").assert().code(255).stderr(contains("errno: 2 msg"));
    }
}

#[test]
fn a_text_that_does_not_fit_into_an_ipc_object_is_refused() {
    for (args, ipc_object) in ipc_objects(*ScratchKey::new()) {
        let wide = ["--size", "4", "hello"];
        shm_wr().args(&args).args(wide).assert().code(255).stderr(starts_with("the text does not"));
        assert!(ipc_object.read_text().is_err());
        shm_wr().args(&args).args(wide).arg("--truncate").assert().code(0);
        assert_eq!(ipc_object.read_text().unwrap(), b"hel");
        ipc_object.remove().unwrap();
    }
}

#[test]
fn only_one_address_can_be_given() {
    for args in [&["--object", "sem", "--posix", "a"][..], &["--object", "msg", "--file", "a"]] {
        shm_wr().args(args).arg("x").assert().code(2).stderr(contains("cannot be used with"));
    }
}
