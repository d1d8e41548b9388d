use predicates::str::starts_with;
use shm_core::IpcObject;
use shm_testkit::scratch::ScratchKey;

use crate::shm_rd;

#[test]
fn semaphores_and_queues_are_read_like_segments() {
    let key = *ScratchKey::new();
    let number = key.to_string();
    for (object, call, ipc_object) in [
        ("sem", "semget", IpcObject::Semaphores(key)),
        ("msg", "msgget", IpcObject::Queue(key)),
        ("mqueue", "mq_open", IpcObject::Mqueue(key)),
    ] {
        let args = ["--object", object, "--key", &number];
        let absent = format!("{call} failed, errno: 2 msg: No such file or directory\ncause: ");
        shm_rd()
            .args(args)
            .assert()
            .code(255)
            .stdout("shm read failed\n")
            .stderr(starts_with(absent));
        ipc_object.write_text(b"hi", 16, 0o600, true).unwrap();
        for _ in 0..2 {
            shm_rd().args(args).assert().code(0).stdout("h i \nshm read success\n").stderr("");
        }
        shm_rd().args(args).arg("--raw").assert().code(0).stdout("hi");
        shm_rd().args(args).arg("--wait=5").assert().code(0);
        ipc_object.remove().unwrap();
    }
}
