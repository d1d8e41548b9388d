//! Texts that are longer than a piece of a transfer.

use std::fs::File;
use std::io::Read;
use std::thread;

use assert_cmd::Command;
use predicates::prelude::*;
use shm_cli::Checksum;
use shm_core::Address;
use shm_testkit::scratch::{ScratchKey, ScratchName, long_text};

use crate::{shell, shm_rd};

const MIB: usize = 1 << 20;

fn put(address: &Address, text: &[u8]) {
    let (memory, _) = address.open_or_create(text.len() + 99, 0o600).unwrap();
    memory.write_text(text).unwrap();
}

#[test]
fn a_long_text_is_printed_whole_with_its_checksum_by_each_mechanism() {
    let (key, name, folder) = (ScratchKey::new(), ScratchName::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("file");
    let text = long_text(2 * MIB + 12_345);
    let mut checksum = Checksum::default();
    checksum.update(&text);
    let spaced = shm_cli::text::spaced(&text);
    let end = format!("\nshm read success\nchecksum {checksum}\n");
    for (option, value, address) in [
        ("--key", key.to_string(), Address::from(*key)),
        ("--posix", name.to_string(), Address::File(name.location())),
        ("--file", file.to_str().unwrap().to_owned(), file.clone().into()),
    ] {
        put(&address, &text);
        let raw = shm_rd().args([option, &value, "--raw"]).assert().code(0).stderr("");
        assert!(raw.get_output().stdout == text, "{option}");
        let raw = shm_rd().args([option, &value, "--raw", "--checksum"]).assert().code(0);
        assert!(raw.get_output().stdout == text, "{option}");
        raw.stderr(format!("checksum {checksum}\n"));
        let whole = shm_rd().args([option, &value, "--checksum"]).assert().code(0).stderr("");
        assert!(whole.get_output().stdout == [&spaced[..], end.as_bytes()].concat(), "{option}");
        let json = shm_rd().args([option, &value, "--json", "--checksum"]).assert().code(0);
        json.stdout(predicates::str::contains(format!(r#""checksum":"{checksum}""#)));
    }
}

#[test]
fn a_pipe_that_closes_early_ends_it_silently() {
    let key = ScratchKey::new();
    put(&(*key).into(), &long_text(2 * MIB));
    let script = "{ \"$0\" \"$@\"; echo $? >&2; } | head -c 100000";
    let name = key.to_string();
    for options in [&["--raw"][..], &["--raw", "--checksum"], &[]] {
        let arguments = [&["--key", &name], options].concat();
        let assert = shell(script, &arguments).assert().code(0).stderr("141\n");
        assert_eq!(assert.get_output().stdout.len(), 100_000);
    }
}

#[test]
fn a_full_output_is_an_error() {
    let key = ScratchKey::new();
    put(&(*key).into(), &long_text(2 * MIB));
    let name = key.to_string();
    for options in [&["--raw"][..], &["--raw", "--checksum"], &[]] {
        let arguments = [&["--key", &name], options].concat();
        shell("exec \"$0\" \"$@\" >/dev/full", &arguments)
            .assert()
            .code(255)
            .stderr("cannot write to standard output: No space left on device (os error 28)\n");
    }
}

#[test]
fn an_object_that_shrinks_during_the_read_is_a_shorter_text() {
    let (name, folder) = (ScratchName::new(), tempfile::tempdir().unwrap());
    let text = long_text(4 * MIB);
    put(&Address::File(name.location()), &text);
    let fifo = folder.path().join("fifo");
    Command::new("mkfifo").arg(&fifo).assert().success();
    let mut tool = shell("exec \"$0\" \"$@\" >\"$FIFO\"", &["--posix", &name, "--raw"]);
    tool.env("FIFO", &fifo);
    let output = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut output = File::open(&fifo).unwrap();
            let mut bytes = vec![0; MIB];
            output.read_exact(&mut bytes).unwrap();
            let object = File::options().write(true).open(name.location().path()).unwrap();
            object.set_len(10).unwrap();
            output.read_to_end(&mut bytes).unwrap();
            bytes
        });
        tool.assert().code(0).stderr("");
        reader.join().unwrap()
    });
    assert!(output.len() < text.len() && output == text[..output.len()]);
}

#[test]
fn a_long_text_needs_little_memory() {
    let key = ScratchKey::new();
    put(&(*key).into(), &vec![b'x'; 64 * MIB]);
    let name = key.to_string();
    for options in [&["--raw"][..], &["--checksum"]] {
        let arguments = [&["--key", &name], options].concat();
        // In KiB; it does not count shared memory.
        let script = "ulimit -d 32768; exec \"$0\" \"$@\" >/dev/null";
        shell(script, &arguments).assert().code(0).stderr(predicate::str::is_empty());
    }
}
