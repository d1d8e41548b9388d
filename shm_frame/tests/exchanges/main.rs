//! The example `exchange`, as two processes with each mechanism.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use escargot::CargoBuild;
use predicates::str::contains;
use serde_json::Value;
use shm_core::{IpcObject, Key, Segment};
use shm_testkit::scratch::ScratchKey;

static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let build = CargoBuild::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .example("exchange");
    build.run().expect("cargo builds the example").path().to_owned()
});

fn exchange(args: &[&str]) -> Command {
    let mut command = Command::new(&*PROGRAM);
    command.args(args).timeout(Duration::from_mins(2));
    command
}

/// Checks the line of JSON.
fn assert_answer(stdout: &[u8], mechanism: &str, wait: &str, size: u64) {
    let answer: Value = serde_json::from_slice(stdout).unwrap();
    assert_eq!(answer["mechanism"], mechanism);
    assert_eq!(answer["wait"], wait);
    assert_eq!((&answer["size"], &answer["round_trips"]), (&size.into(), &50.into()));
    let time = |field: &str| answer[field].as_u64().unwrap();
    assert!(0 < time("median_ns") && time("median_ns") <= time("p99_ns") && time("mean_ns") > 0);
    for rate in ["round_trips_per_second", "bytes_per_second"] {
        assert!(answer[rate].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn each_mechanism_starts_its_peer() {
    for (mechanism, wait) in [
        ("framed", "spin"),
        ("framed", "sleep"),
        ("pipe", "block"),
        ("unix", "spin"),
        ("tcp", "block"),
    ] {
        let args = [mechanism, "--wait", wait, "--count", "50", "--size", "100"];
        let output = exchange(&args).assert().success().stderr("");
        assert_answer(&output.get_output().stdout, mechanism, wait, 100);
    }
}

#[test]
fn two_processes_share_only_a_place_and_leave_nothing_there() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let answers = Key::new(key.raw() + 1).unwrap();
    let path = folder.path().join("place").to_str().unwrap().to_owned();
    for (mechanism, place) in [("framed", key.to_string()), ("pipe", path.clone()), ("unix", path)]
    {
        thread::scope(|scope| {
            let serve = [mechanism, "--serve", &place];
            let server = scope.spawn(move || exchange(&serve).assert().success().stdout(""));
            let args = [mechanism, "--connect", &place, "--count", "50"];
            let output = exchange(&args).assert().success();
            let wait = if mechanism == "framed" { "spin" } else { "block" };
            assert_answer(&output.get_output().stdout, mechanism, wait, 64);
            server.join().unwrap();
        });
    }
    for key in [*key, answers] {
        assert!(Segment::find(key).is_err() && IpcObject::Semaphores(key).read_text().is_err());
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn framed_memory_refuses_to_wait_in_the_kernel() {
    // The key after a scratch key may belong to another test.
    let key = Key::new((0x5d00_0000 | std::process::id() & 0xff_ffff).cast_signed()).unwrap();
    for args in [["--count", "1"], ["--serve", &key.to_string()]] {
        let refused = exchange(&["framed", "--wait", "block"]).args(args).assert().failure();
        refused.stdout("").stderr(contains("--wait spin or sleep"));
    }
    assert!(Segment::find(key).is_err());
}
