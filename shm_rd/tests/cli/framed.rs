use std::thread;
use std::time::Duration;

use predicates::str::{contains, starts_with};
use serde_json::{Value, json};
use shm_core::{IpcNamespace, Key, Segment};
use shm_frame::Writer;
use shm_testkit::scratch::ScratchKey;

use crate::{put, shell, shm_rd};

fn on(key: Key) -> assert_cmd::Command {
    let mut command = shm_rd();
    command.args(["--framed", "--key", &key.to_string()]);
    command
}

fn write(key: Key, message: &[u8]) {
    let limit = Duration::from_secs(10);
    let mut writer = Writer::open_or_create(key, 1024, 0o600, limit).unwrap().0;
    writer.write(message).unwrap();
}

/// Leaves the frame like a writer that was killed before it published `generation`.
fn begin_message(key: Key, generation: u64) {
    let attachment = Segment::open(key).unwrap().attach_writable().unwrap();
    attachment.write_at(16, &generation.to_ne_bytes()).unwrap();
}

fn answer(key: Key, status: i32) -> Value {
    let assert = on(key).arg("--json").assert().code(status).stderr("");
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

#[test]
fn a_whole_message_is_printed_like_a_text() {
    let key = ScratchKey::new();
    write(*key, b"a\0b");
    on(*key).assert().code(0).stdout("a \0 b \nshm read success\n").stderr("");
    on(*key).arg("--raw").assert().code(0).stdout("a\0b").stderr("");
}

#[test]
fn the_json_of_a_read_message_is_one_object() {
    let key = ScratchKey::new();
    write(*key, b"one");
    write(*key, b"three");
    assert_eq!(
        answer(*key, 0),
        json!({
            "ok": true,
            "address": { "mechanism": "sysv", "key": key.to_string() },
            "shmid": Segment::find(*key).unwrap().id(),
            "capacity": 464,
            "length": 5,
            "text": "three",
            "generation": 2,
            "writing": "idle",
            "ipc_namespace": IpcNamespace::current().unwrap(),
            "error": null,
        })
    );
}

#[test]
fn after_the_death_of_a_writer_the_last_whole_message_is_read_with_a_note() {
    let key = ScratchKey::new();
    write(*key, b"whole");
    begin_message(*key, 2);
    on(*key).arg("--raw").assert().code(0).stdout("whole").stderr(
        "note: this is message 1, the last whole message; a writer died while it wrote the next \
         one\n",
    );
    assert_eq!(answer(*key, 0)["writing"], "died");
    write(*key, b"next");
    on(*key).arg("--raw").assert().code(0).stdout("next").stderr("");
    assert_eq!(answer(*key, 0)["writing"], "idle");
}

#[test]
fn a_running_writer_is_not_reported_as_dead() {
    let key = ScratchKey::new();
    write(*key, b"whole");
    let limit = Duration::from_secs(10);
    let _writer = Writer::open_or_create(*key, 1024, 0o600, limit).unwrap();
    begin_message(*key, 2);
    on(*key).arg("--raw").assert().code(0).stdout("whole").stderr("");
    assert_eq!(answer(*key, 0)["writing"], "under_way");
}

#[test]
fn the_error_of_a_missing_message_has_its_cause() {
    let key = ScratchKey::new();
    let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
    on(*key).assert().code(255).stdout("shm read failed\n").stderr(starts_with(
        "the segment is empty: its creator has not made it a frame yet\ncause: ",
    ));
    let limit = Duration::from_secs(10);
    drop(Writer::open_or_create(*key, 1024, 0o600, limit).unwrap());
    begin_message(*key, 1);
    on(*key).assert().code(255).stderr(starts_with(
        "there is no whole message yet\ncause: a writer died while it wrote the first message\n",
    ));
    let error = &answer(*key, 255)["error"];
    assert_eq!(error["cause"], "a writer died while it wrote the first message");
}

#[test]
fn a_text_that_is_not_framed_is_refused_at_once_even_with_waiting() {
    let key = ScratchKey::new();
    put(*key, b"text");
    on(*key).arg("--wait").assert().code(255).stderr(starts_with("the segment is not framed\n"));
}

#[test]
fn waiting_ends_with_the_first_whole_message() {
    let key = ScratchKey::new();
    thread::scope(|scope| {
        let reader = scope.spawn(|| on(*key).args(["--wait=15", "--raw"]).assert().code(0));
        thread::sleep(Duration::from_millis(100));
        let _ = Segment::create_new(*key, 1024, 0o600).unwrap();
        thread::sleep(Duration::from_millis(100));
        write(*key, b"late");
        reader.join().unwrap().stdout("late").stderr("");
    });
    on(*key).args(["--posix", "a"]).assert().code(2).stderr(contains("cannot be used with"));
}

/// Runs the reader in a shell, as `exec "$0" "$@"` in `script`.
fn on_in_shell(key: Key, script: &str, option: &str) -> assert_cmd::Command {
    shell(script, &["--framed", "--key", &key.to_string(), option])
}

#[test]
fn a_message_that_does_not_fit_into_memory_is_an_error() {
    let key = ScratchKey::new();
    let (size, limit) = (128 << 20, Duration::from_secs(10));
    let mut writer = Writer::open_or_create(*key, size, 0o600, limit).unwrap().0;
    writer.write(&vec![b'x'; 60 << 20]).unwrap();
    // In KiB; it does not count shared memory.
    let script = "ulimit -d 32768; exec \"$0\" \"$@\"";
    let message = "the message does not fit into the memory of this process";
    on_in_shell(*key, script, "--raw").assert().code(255).stdout("").stderr(format!(
        "{message}\n\
         cause: reading copies the message, 62914560 bytes, and a memory limit is too low\n\
         hint: raise the limit: ulimit -v, ulimit -d\n"
    ));
    let json = on_in_shell(*key, script, "--json").assert().code(255).stderr("");
    let answer: Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!((&answer["ok"], &answer["error"]["message"]), (&json!(false), &json!(message)));
}

#[test]
fn a_read_succeeds_even_if_its_note_cannot_be_printed() {
    let key = ScratchKey::new();
    write(*key, b"whole");
    begin_message(*key, 2);
    let script = "exec \"$0\" \"$@\" 2>/dev/full";
    on_in_shell(*key, script, "--raw").assert().code(0).stdout("whole");
}

/// Without --framed the text of a frame is its mark.
#[test]
fn a_frame_that_is_read_as_a_text_is_noted() {
    let key = ScratchKey::new();
    write(*key, b"whole");
    let key_argument = key.to_string();
    let note = format!(
        "note: shm_wr --framed wrote this segment; to read its message: shm_rd --framed --key \
         {key_argument}\n"
    );
    let plain = |option: &[&str]| {
        let mut command = shm_rd();
        command.args(["--key", &key_argument]).args(option);
        command.assert().code(0).stderr(note.clone())
    };
    plain(&[]).stdout("S H M F R M \u{2} \nshm read success\n");
    plain(&["--raw"]).stdout("SHMFRM\u{2}");
    plain(&["--json"]).stdout(contains("SHMFRM"));
    shm_rd().args(["--framed", "--raw", "--key", &key_argument]).assert().code(0).stdout("whole");
}
