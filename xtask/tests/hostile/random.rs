//! Random texts, sizes, modes and command lines: the tools read a written text back or refuse it,
//! and with `--json` they answer in JSON.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use assert_cmd::Command;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use shm_core::{Key, Segment};
use shm_testkit::need::MOUNTS;
use shm_testkit::{Trial, count, trials};

use crate::{mount, read, static_path, words, write};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[MOUNTS] =>
            a_random_text_is_read_back_or_refused_without_a_change,
            a_random_segment_is_read_up_to_its_first_nul,
            a_random_command_line_ends_with_a_documented_status,
            a_random_command_line_of_the_static_tools_ends_with_a_documented_status;
    ]
}

fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&strategy, |value| {
            test(value);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    count("random input of the tools", &[(usize::try_from(cases).unwrap(), "cases")]);
}

/// Bytes without a NUL, Unicode text, arbitrary bytes, and lengths around the size of a page.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(1_u8.., 0..200),
        2 => prop::collection::vec(any::<char>(), 0..80)
            .prop_map(|characters| characters.into_iter().collect::<String>().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(select(&b"\0\x1b\xff\xc3a"[..]), 0..50),
        // Lengths around the size of a segment and of a page.
        1 => (select(&[1022_usize, 1023, 1024, 4095, 4096, 4097, 9000][..]), 1_u8..)
            .prop_map(|(length, byte)| vec![byte; length]),
    ]
}

const PLACES: [&[&str]; 6] = [
    &["--key", "0x7"],
    &["--posix", "name"],
    &["--file", "/dev/shm/file"],
    &["--object", "sem"],
    &["--object", "msg"],
    &["--object", "mqueue"],
];

/// A write: its place, text and options.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag of the command line")]
struct Write {
    place: usize,
    text: Vec<u8>,
    size: Option<usize>,
    mode: Option<u32>,
    create_new: bool,
    truncate: bool,
    stdin: bool,
    json: bool,
}

prop_compose! {
    fn a_write()(
        place in 0..PLACES.len(),
        text in text(),
        size in prop::option::of(select(&[0, 1, 2, 64, 200, 1024, 4096, 4097, 8192][..])),
        mode in prop::option::of(0..=0o777_u32),
        (create_new, truncate, stdin, json) in any::<(bool, bool, bool, bool)>(),
    ) -> Write {
        // An argument cannot contain a NUL.
        let stdin = stdin || text.contains(&0);
        Write { place, text, size, mode, create_new, truncate, stdin, json }
    }
}

impl Write {
    fn arguments(&self) -> Vec<OsString> {
        let mut all = words(PLACES[self.place]);
        all.extend(self.size.map(|size| format!("--size={size}").into()));
        all.extend(self.mode.map(|mode| format!("--mode={mode:o}").into()));
        let flags = [
            (self.create_new, "--create-new"),
            (self.truncate, "--truncate"),
            (self.stdin, "--stdin"),
            (self.json, "--json"),
        ];
        all.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).into()));
        if !self.stdin {
            all.extend(["--".into(), OsString::from_vec(self.text.clone())]);
        }
        all
    }
}

/// Returns the text at a place, or `None` if it cannot be read.
fn text_at(place: usize) -> Option<Vec<u8>> {
    let output = read(&words(&[PLACES[place], &["--raw"]].concat())).unwrap();
    assert!(output.status == 0 || output.stdout.is_empty(), "{output:?}");
    (output.status == 0).then_some(output.stdout)
}

fn a_random_text_is_read_back_or_refused_without_a_change() {
    mount("8m");
    // The writes use the same places, so each one finds what the earlier ones left.
    check(2000, (a_write(), prop::bool::weighted(0.2)), |(it, remove)| {
        if remove {
            let _ = write(&words(&[PLACES[it.place], &["--remove"]].concat()), b"");
        }
        let before = text_at(it.place);
        let output = write(&it.arguments(), if it.stdin { &it.text } else { b"" }).unwrap();
        let after = text_at(it.place);
        if it.json {
            let json = output.json();
            let truncated = after.as_ref().is_some_and(|text| text.len() < it.text.len());
            assert!(output.status != 0 || json["truncated"] == truncated, "{json}");
        }
        if output.status == 0 {
            let after = after.unwrap();
            assert!(!(it.create_new && before.is_some()));
            if it.truncate {
                let visible = it.text.split(|byte| *byte == 0).next().unwrap();
                assert!(visible.starts_with(&after), "{it:?} {after:?}");
            } else {
                assert_eq!(after, it.text);
            }
        } else {
            assert_eq!(output.status, 255);
            assert_eq!(after, before, "{it:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    });
}

fn a_random_segment_is_read_up_to_its_first_nul() {
    mount("8m");
    // A repeated pattern: generating each byte would take longer than the test itself.
    let pattern = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..300),
        prop::collection::vec(1_u8.., 1..300),
        prop::collection::vec(select(&b"\0abc"[..]), 1..100),
    ];
    let some_bytes = (pattern, 1_usize..10_000)
        .prop_map(|(pattern, length)| pattern.into_iter().cycle().take(length).collect::<Vec<_>>());
    let modes = 0..=0o777_u32;
    check(500, (some_bytes, 0_usize..10_000, modes, any::<i32>()), |(bytes, unused, mode, raw)| {
        let Some(key) = Key::new(raw) else { return };
        let segment = Segment::create_new(key, bytes.len() + unused, mode).unwrap();
        segment.attach_writable().unwrap().write_at(0, &bytes).unwrap();
        fs::write("/dev/shm/object", &bytes).unwrap();
        let text = bytes.split(|byte| *byte == 0).next().unwrap();
        let key = key.to_string();
        for place in [["--key", &key], ["--posix", "object"]] {
            assert_eq!(read(&words(&[place[0], place[1], "--raw"])).unwrap().stdout, text);
            let json = read(&words(&[place[0], place[1], "--json"])).unwrap().json();
            assert_eq!(json["length"], text.len());
            match std::str::from_utf8(text) {
                Ok(text) => assert_eq!(json["text"], text),
                Err(_) => assert_eq!(json["text"], serde_json::json!(text)),
            }
        }
        segment.remove().unwrap();
    });
}

const OPTIONS: &[&str] = &[
    "--key",
    "--key=",
    "--posix",
    "--file",
    "--object",
    "--size",
    "--mode",
    "--create-new",
    "--truncate",
    "--stdin",
    "--remove",
    "--json",
    "--json=x",
    "--raw",
    "--wait=0",
    "--wait=-1",
    "--wait=nan",
    "--limits",
    "--",
    "-",
    "--no-such",
    "--help",
    "--version",
    "-h",
    "-V",
];

const VALUES: &[&str] = &[
    "7",
    "0",
    "-1",
    "0x",
    "0x7",
    "0xffffffff",
    "2147483648",
    "sem",
    "msg",
    "mqueue",
    "name",
    "/name",
    "/dev/shm/file",
    "/dev/shm",
    "/dev/null",
    "/",
    "",
    "..",
    "1K",
    "8G",
    "1E",
    "9999999999999P",
    "0666",
    "777",
    "8",
    "1777",
    "text",
    "\u{1b}[2J",
];

/// A word of a command line: a valid or broken option or value, or random bytes.
fn word() -> impl Strategy<Value = OsString> {
    // Without a slash, so that no file is created elsewhere.
    let random = prop::collection::vec((1_u8..).prop_filter("slash", |byte| *byte != b'/'), 0..300);
    prop_oneof![
        3 => select(OPTIONS).prop_map(OsString::from),
        3 => select(VALUES).prop_map(OsString::from),
        1 => random.prop_map(OsString::from_vec),
    ]
}

/// Changes to a scratch directory, because random relative paths may create files.
fn enter_scratch_directory() {
    mount("1m");
    fs::create_dir("/dev/shm/here").unwrap();
    std::env::set_current_dir("/dev/shm/here").unwrap();
}

fn command_line() -> impl Strategy<Value = Vec<OsString>> {
    prop::collection::vec(word(), 0..8)
}

fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

fn a_random_command_line_ends_with_a_documented_status() {
    enter_scratch_directory();
    check(1000, (command_line(), text()), |(arguments, stdin)| {
        for output in [write(&arguments, &stdin), read(&arguments)].into_iter().flatten() {
            assert!([0, 255].contains(&output.status), "{output:?}");
            if asks_for_json(&arguments) {
                // The word --json may also be the value of another option.
                if output.stdout.starts_with(b"{") {
                    output.json();
                }
            } else if output.status == 255 {
                assert!(!output.stderr.is_empty(), "{output:?}");
            }
        }
    });
}

fn a_random_command_line_of_the_static_tools_ends_with_a_documented_status() {
    enter_scratch_directory();
    let tool = select(&["shm_wr", "shm_rd", "shm_ls"][..]);
    let statuses = std::cell::RefCell::new(BTreeSet::new());
    check(300, (tool, command_line(), text()), |(tool, arguments, stdin)| {
        let mut command = Command::new(static_path(tool));
        let output = command.args(&arguments).write_stdin(stdin).output().unwrap();
        // No status means that a signal ended the tool, as after a panic or a stack overflow.
        let status =
            output.status.code().unwrap_or_else(|| panic!("{tool} {arguments:?}: {output:?}"));
        assert!([0, 1, 2, 255].contains(&status), "{tool} {arguments:?}: {output:?}");
        assert!(status != 2 || output.stdout.is_empty(), "{output:?}");
        assert!(status != 2 || output.stderr.starts_with(b"error: "), "{output:?}");
        if output.stdout.starts_with(b"{") {
            let _: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        }
        statuses.borrow_mut().insert(status);
    });
    assert!(statuses.borrow().is_superset(&BTreeSet::from([0, 2, 255])), "{statuses:?}");
}
