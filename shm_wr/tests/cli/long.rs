//! Texts that are too long to be checked before they are written.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use shm_cli::Checksum;
use shm_core::{Address, Segment};
use shm_testkit::scratch::{ScratchKey, ScratchName, long_text};

use crate::{shell, shm_wr, text_at};

const MIB: usize = 1 << 20;
const LEFT_EMPTY: &str = "and an empty text is left";

/// Runs the tool with a FIFO in `folder` as its input, to which `feed` writes.
fn fed(
    folder: &Path,
    arguments: &[&str],
    feed: impl FnOnce(File) + Send,
) -> assert_cmd::assert::Assert {
    let fifo = folder.join("fifo");
    Command::new("mkfifo").arg(&fifo).assert().success();
    let script = "echo $$ >\"$FIFO.pid\"; exec \"$0\" \"$@\" <\"$FIFO\"";
    let mut tool = shell(script, arguments);
    tool.env("FIFO", &fifo);
    thread::scope(|scope| {
        scope.spawn(|| feed(File::options().write(true).open(&fifo).unwrap()));
        tool.assert()
    })
}

#[test]
fn a_long_text_is_written_whole_with_its_checksum_by_each_mechanism() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    let text = long_text(3 * MIB + 12_345);
    let mut checksum = Checksum::default();
    checksum.update(&text);
    let message = format!("shm write success\nchecksum {checksum}\n");
    for (option, value, address) in [
        ("--key", key.to_string(), Address::from(*key)),
        ("--posix", name.to_string(), Address::File(name.location())),
        ("--file", file.to_str().unwrap().to_owned(), file.clone().into()),
    ] {
        let mut command = shm_wr();
        command.args([option, &value, "--size", "4M", "--stdin", "--checksum"]);
        command.write_stdin(text.clone()).assert().code(0).stdout(message.clone()).stderr("");
        assert!(text_at(address) == text, "{option}");
    }
}

#[test]
fn a_too_long_input_file_is_refused_and_nothing_is_written() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("input");
    fs::write(&path, long_text(2 * MIB)).unwrap();
    let input = path.to_str().unwrap();
    let script = format!("exec \"$0\" \"$@\" <'{input}'");
    let key_text = key.to_string();
    let arguments = ["--key", &key_text, "--size", "2M", "--stdin"];
    let refused = || starts_with("the text does not fit\ncause: ").and(contains(LEFT_EMPTY).not());
    shell(&script, &arguments).assert().code(255).stderr(refused());
    assert!(Segment::find(*key).is_err());
    shm_wr().args(["--key", &key_text, "--size", "2M", "before"]).assert().code(0);
    shell(&script, &arguments).assert().code(255).stderr(refused());
    assert_eq!(text_at(*key), b"before");
    // Only the rest of the file counts.
    let script = format!("{{ head -c 1 >/dev/null; exec \"$0\" \"$@\"; }} <'{input}'");
    shell(&script, &arguments).assert().code(0);
    assert!(text_at(*key) == long_text(2 * MIB)[1..]);
}

#[test]
fn an_endless_pipe_is_an_error_or_is_cut_with_truncate() {
    let (key, name) = (ScratchKey::new(), ScratchName::new());
    for (option, value, address) in [
        ("--key", key.to_string(), Address::from(*key)),
        ("--posix", name.to_string(), Address::File(name.location())),
    ] {
        let arguments = [option, &value, "--size", "2M", "--stdin"];
        let endless = "yes | \"$0\" \"$@\"";
        shell(endless, &arguments)
            .assert()
            .code(255)
            .stdout("shm write failed\n")
            .stderr(starts_with("the text does not fit\ncause: ").and(contains(LEFT_EMPTY)));
        assert_eq!(text_at(address.clone()), b"");
        let cut = [&arguments[..], &["--truncate"]].concat();
        shell(endless, &cut).assert().code(0);
        assert!(text_at(address) == b"y\n".repeat(MIB)[..2 * MIB - 1]);
    }
}

#[test]
fn a_nul_far_in_the_text_is_an_error_or_ends_it_with_truncate() {
    let (key, name) = (ScratchKey::new(), ScratchName::new());
    let (whole, place) = (long_text(2 * MIB), MIB + 300_001);
    let mut with_nul = whole.clone();
    with_nul[place] = 0;
    for (option, value, address) in [
        ("--key", key.to_string(), Address::from(*key)),
        ("--posix", name.to_string(), Address::File(name.location())),
    ] {
        let arguments = [option, &value, "--size", "3M", "--stdin"];
        let refused = format!("the text has a NUL at byte {place}\ncause: ");
        let mut command = shm_wr();
        command.args(arguments).write_stdin(with_nul.clone());
        let refused = starts_with(refused).and(contains(LEFT_EMPTY));
        command.assert().code(255).stderr(refused);
        assert_eq!(text_at(address.clone()), b"");
        let mut command = shm_wr();
        command.args(arguments).arg("--truncate").write_stdin(with_nul.clone());
        command.assert().code(0);
        assert!(text_at(address) == whole[..place]);
    }
}

#[test]
fn readers_see_an_empty_text_until_the_write_completes() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let whole = long_text(3 * MIB);
    shm_wr().args(["--key", &key.to_string(), "--size", "4M", "before"]).assert().code(0);
    fed(folder.path(), &["--key", &key.to_string(), "--stdin"], |mut input| {
        // A pipe holds 64 KiB, so the tool has read the rest.
        input.write_all(&whole[..2 * MIB]).unwrap();
        assert_eq!(text_at(*key), b"");
        input.write_all(&whole[2 * MIB..]).unwrap();
    })
    .code(0);
    assert!(text_at(*key) == whole);
}

#[test]
fn a_killed_writer_leaves_an_empty_text() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let kill = "kill -9 $(cat \"$0\")";
    let pid = folder.path().join("fifo.pid");
    fed(folder.path(), &["--key", &key.to_string(), "--size", "4M", "--stdin"], |mut input| {
        input.write_all(&long_text(2 * MIB)).unwrap();
        Command::new("sh").args(["-c", kill]).arg(&pid).assert().success();
    })
    .failure();
    assert_eq!(text_at(*key), b"");
}

#[test]
fn an_object_that_shrinks_during_the_write_is_an_error() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    let path = name.location().path();
    fed(folder.path(), &["--posix", &name, "--size", "8M", "--stdin"], |mut input| {
        input.write_all(&long_text(2 * MIB)).unwrap();
        File::options().write(true).open(path).unwrap().set_len(MIB as u64).unwrap();
        // The tool may have ended already.
        let _ = input.write_all(&long_text(2 * MIB));
    })
    .code(255)
    .stdout("shm write failed\n")
    .stderr(contains("lie outside the").and(contains(LEFT_EMPTY)));
    assert_eq!(text_at(Address::File(name.location())), b"");
}

#[test]
fn a_segment_that_is_removed_during_the_write_is_written_to_its_end() {
    let (key, folder) = (ScratchKey::new(), tempfile::tempdir().unwrap());
    let arguments = ["--key", &key.to_string(), "--size", "4M", "--stdin"];
    let mut reader = None;
    fed(folder.path(), &arguments, |mut input| {
        input.write_all(&long_text(2 * MIB)).unwrap();
        let segment = Segment::find(*key).unwrap();
        reader = Some(segment.attach().unwrap());
        segment.remove().unwrap();
        input.write_all(&long_text(MIB)).unwrap();
    })
    .code(0)
    .stdout("shm write success\n");
    let mut bytes = vec![0; 3 * MIB];
    reader.unwrap().read_at(0, &mut bytes);
    assert!(bytes == [long_text(2 * MIB), long_text(MIB)].concat());
}

#[test]
fn a_long_text_needs_little_memory() {
    let (key, name) = (ScratchKey::new(), ScratchName::new());
    for address in [["--key", &key.to_string()], ["--posix", &name]] {
        let arguments = [&address[..], &["--size", "65M", "--stdin", "--checksum"]].concat();
        // In KiB; it does not count shared memory.
        let script =
            "head -c 67108864 /dev/zero | tr '\\0' x | (ulimit -d 32768; exec \"$0\" \"$@\")";
        shell(script, &arguments).assert().code(0);
    }
    assert_eq!(text_at(*key).len(), 64 * MIB);
}
