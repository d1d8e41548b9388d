//! Segments and objects of every shape: full, empty, of odd sizes, of other users.

use std::fs;

use assert_cmd::Command;
use shm_cli::DEFAULT_KEY;
use shm_core::Segment;
use shm_testkit::isolation::mount_over;
use shm_testkit::need::{ANOTHER_USER, MOUNTS};
use shm_testkit::programs::{NOBODY, PublicFolder, run_as};
use shm_testkit::{Trial, trials};

use crate::{mount, read, read_to, rest, static_path, words, write};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            a_segment_without_a_nul_is_read_to_its_last_byte_and_no_further,
            a_segment_of_one_byte_holds_only_an_empty_text,
            control_characters_do_not_reach_a_terminal;
        Trial::isolated, &[MOUNTS] =>
            an_object_or_file_of_any_size_is_read_to_its_end,
            an_object_as_large_as_a_file_can_be_is_read_and_written,
            control_characters_in_user_names_are_escaped;
        Trial::isolated, &[ANOTHER_USER] =>
            a_mode_is_enforced_and_a_denied_access_is_reported;
    ]
}

const SIZES: [usize; 12] = [1, 2, 3, 7, 1023, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_577];

/// Returns `size` bytes without a NUL: 1 to 255, repeated.
fn bytes(size: usize) -> Vec<u8> {
    (1..=255).cycle().take(size).collect()
}

fn a_segment_without_a_nul_is_read_to_its_last_byte_and_no_further() {
    for size in SIZES {
        let segment = Segment::create_new(DEFAULT_KEY, size, 0o600).unwrap();
        segment.attach_writable().unwrap().write_at(0, &bytes(size)).unwrap();
        let raw = read(&words(&["--raw"])).unwrap();
        assert_eq!((raw.status, &raw.stdout), (0, &bytes(size)), "{size}");
        let spaced = read(&[]).unwrap();
        let end = b"\nshm read success\n";
        assert_eq!((spaced.status, spaced.stdout.len()), (0, 2 * size + end.len()));
        assert!(spaced.stdout.ends_with(end));
        let json = read(&words(&["--json"])).unwrap().json();
        assert_eq!((&json["length"], &json["size"]), (&size.into(), &size.into()));
        // Also as a separate process, in which reading past the last page ends it with a signal.
        let mut program = Command::new(static_path("shm_rd"));
        program.arg("--raw").assert().code(0).stdout(bytes(size));
        segment.remove().unwrap();
    }
}

fn a_segment_of_one_byte_holds_only_an_empty_text() {
    let segment = Segment::create_new(DEFAULT_KEY, 1, 0o600).unwrap();
    assert_eq!(read(&words(&["--raw"])).unwrap().stdout, b"");
    assert_eq!(write(&words(&["--size", "1", ""]), b"").unwrap().status, 0);
    let refused = write(&words(&["--size", "1", "x"]), b"").unwrap();
    assert_eq!(refused.status, 255);
    assert!(refused.stderr.starts_with(b"the text does not fit\n"), "{refused:?}");
    // Without --size the writer asks for 1024 bytes.
    let refused = write(&words(&[""]), b"").unwrap();
    assert!(refused.stderr.starts_with(b"shmget failed, errno: 22 "), "{refused:?}");
    let cut = write(&words(&["--size", "1", "--truncate", "x"]), b"").unwrap();
    assert_eq!((cut.status, read(&words(&["--raw"])).unwrap().stdout), (0, vec![]));
    assert_eq!(segment.stat().unwrap().size, 1);
}

fn an_object_or_file_of_any_size_is_read_to_its_end() {
    mount("64m");
    for size in [0].into_iter().chain(SIZES) {
        fs::write("/dev/shm/it", bytes(size)).unwrap();
        for place in [["--posix", "it"], ["--file", "/dev/shm/it"]] {
            let raw = read(&words(&[place[0], place[1], "--raw"])).unwrap();
            assert_eq!((raw.status, &raw.stdout), (0, &bytes(size)), "{size}");
            let json = read(&words(&[place[0], place[1], "--json"])).unwrap().json();
            assert_eq!(json["length"], size);
        }
    }
}

fn an_object_as_large_as_a_file_can_be_is_read_and_written() {
    mount("64m");
    let object = fs::File::create("/dev/shm/it").unwrap();
    let largest = i64::MAX as u64;
    object.set_len(largest).unwrap();
    let at = ["--posix", "it"];
    assert_eq!(read(&words(&[&at[..], &["--raw"]].concat())).unwrap().stdout, b"");
    assert_eq!(write(&words(&[&at[..], &["text"]].concat()), b"").unwrap().status, 0);
    assert_eq!(write(&words(&[&at[..], &["--stdin"]].concat()), b"more").unwrap().status, 0);
    assert_eq!(read(&words(&[&at[..], &["--raw"]].concat())).unwrap().stdout, b"more");
    let json = read(&words(&[&at[..], &["--json"]].concat())).unwrap().json();
    assert_eq!((&json["size"], &json["text"]), (&largest.into(), &"more".into()));
    assert_eq!(object.metadata().unwrap().len(), largest);
}

fn control_characters_do_not_reach_a_terminal() {
    use clap::Parser;

    let segment = Segment::create_new(DEFAULT_KEY, 4000, 0o600).unwrap();
    let hostile = [
        // Each byte, then sequences that terminals obey.
        bytes(255),
        b"\x1b]0;title\x07\x1b[2J\x1b[6n\x1bc\x1bP\x1b\\\x9b31m\r\x08\x7f".to_vec(),
        "\u{9b}2J\u{85}\u{90}".as_bytes().to_vec(),
        b"\xe2\x80\xc3\xf0\x9f\x98".to_vec(),
    ];
    for text in hostile {
        segment.attach_writable().unwrap().write_at(0, &[&text[..], &[0]].concat()).unwrap();
        for arguments in [&["shm_rd"][..], &["shm_rd", "--raw"]] {
            let args = shm_rd::args::Args::parse_from(arguments);
            let output = read_to(&args, true, rest);
            assert_eq!(output.status, 0);
            let shown = String::from_utf8(output.stdout).expect("invalid UTF-8 is escaped");
            let drives = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            assert!(!shown.contains(drives), "{shown:?}");
        }
    }
}

fn control_characters_in_user_names_are_escaped() {
    let _ = Segment::create_new(DEFAULT_KEY, 100, 0o600).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let passwd = folder.path().join("passwd");
    fs::write(&passwd, b"\x1b[2Jroot:x:0:0::/:/bin/sh\n\xc2\x9b2J:x:1:1::/:\n").unwrap();
    mount_over("/etc/passwd", &passwd);
    let output = Command::new(static_path("shm_ls")).output().unwrap();
    let listing = String::from_utf8(output.stdout).unwrap();
    assert!(!listing.contains(|c: char| c.is_control() && c != '\n'), "{listing:?}");
    assert!(shm_core::table::Table::parse(&listing).is_some(), "{listing}");
}

/// Returns a command that runs a static tool as an unprivileged user.
fn as_another(folder: &PublicFolder, name: &str, arguments: &[&str]) -> Command {
    let mut command = run_as(NOBODY, folder.copy(static_path(name)));
    command.args(arguments);
    command
}

fn a_mode_is_enforced_and_a_denied_access_is_reported() {
    let folder = PublicFolder::new();
    for (mode, reads, writes) in [
        (0o000, false, false),
        (0o200, false, false),
        (0o444, true, false),
        (0o004, true, false),
        (0o002, false, false),
        (0o006, true, true),
        (0o660, false, false),
        (0o777, true, true),
    ] {
        let segment = Segment::create_new(DEFAULT_KEY, 1024, mode).unwrap();
        assert_eq!(write(&words(&["root's"]), b"").unwrap().status, 0, "root may always write");
        let verdict = |arguments: &[&str], name, granted: bool| {
            let assert = as_another(&folder, name, arguments).assert();
            let assert = assert.code(if granted { 0 } else { 255 });
            let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
            let denied =
                said.starts_with("shmget failed, errno: 13 msg: Permission denied\ncause: ");
            assert_eq!(denied, !granted, "mode {mode:04o}: {said}");
            let seen = said.contains("belongs to user 0 ")
                && said.contains(&format!(" and has mode {mode:04o}: "));
            assert!(granted || seen, "mode {mode:04o}: {said}");
        };
        verdict(&["--raw"], "shm_rd", reads);
        verdict(&["theirs"], "shm_wr", writes);
        let now = read(&words(&["--raw"])).unwrap().stdout;
        assert_eq!(now, if writes { b"theirs" } else { b"root's" });
        // The listing shows every segment, whatever its mode.
        let listed = as_another(&folder, "shm_ls", &["--json"]).assert().success();
        let json: serde_json::Value = serde_json::from_slice(&listed.get_output().stdout).unwrap();
        assert_eq!(json["segments"][0]["mode"], format!("{mode:04o}"));
        segment.remove().unwrap();
    }
}
