//! Memory that is removed, shrunk or overwritten while a tool uses it.
//!
//! The tools run in this process, so the change always happens at the same moment: after the
//! reader's first output, when the full pipe blocks it long before the end of a text of 1 MiB, or
//! when the writer reads its input.

use std::io::{Read, Write};
use std::{fs, thread};

use clap::Parser;
use shm_cli::DEFAULT_KEY;
use shm_core::Segment;
use shm_testkit::need::MOUNTS;
use shm_testkit::{Trial, trials};

use crate::{ToolOutput, mount, read_to, rest, write_from};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            a_segment_that_is_removed_is_read_to_its_end,
            a_segment_whose_key_is_reused_is_read_to_its_end,
            an_overwritten_segment_is_read_as_old_and_then_new_bytes,
            a_text_that_is_cut_by_a_nul_ends_there;
        Trial::isolated, &[MOUNTS] =>
            an_object_that_is_removed_is_read_to_its_end,
            an_object_that_shrinks_is_read_up_to_its_new_end,
            a_write_to_an_object_that_was_shrunk_succeeds_or_is_refused,
            repeated_truncation_of_an_object_kills_no_tool;
    ]
}

const LENGTH: usize = 1 << 20;
const SUCCESS: &[u8] = b"\nshm read success\n";

/// Reads with `arguments` and calls `act` after the first byte of output. The full pipe blocks the
/// reader until `act` returns.
fn read_while(arguments: &[&str], act: impl FnOnce() + Send) -> ToolOutput {
    let args = shm_rd::args::Args::parse_from(["shm_rd"].iter().chain(arguments));
    read_to(&args, false, |mut reader| {
        let mut first = [0];
        reader.read_exact(&mut first).unwrap();
        act();
        [&first[..], &rest(reader)].concat()
    })
}

/// Returns the text, which was printed with a space after each character.
#[track_caller]
fn text_of(output: &ToolOutput) -> Vec<u8> {
    assert_eq!((output.status, &output.stderr[..]), (0, &b""[..]));
    let spaced = output.stdout.strip_suffix(SUCCESS).unwrap();
    spaced.chunks(2).map(|pair| pair[0]).collect()
}

/// Creates a segment that is filled with one character.
fn full() -> Segment {
    let segment = Segment::create_new(DEFAULT_KEY, LENGTH, 0o600).unwrap();
    segment.attach_writable().unwrap().write_at(0, &vec![b'x'; LENGTH]).unwrap();
    segment
}

fn a_segment_that_is_removed_is_read_to_its_end() {
    let segment = full();
    let output = read_while(&[], || segment.remove().unwrap());
    assert_eq!(text_of(&output), vec![b'x'; LENGTH]);
    assert!(segment.stat().is_err(), "the segment still exists after the reader detached");
}

fn a_segment_whose_key_is_reused_is_read_to_its_end() {
    let segment = full();
    let output = read_while(&[], || {
        segment.remove().unwrap();
        let other = Segment::create_new(DEFAULT_KEY, LENGTH, 0o600).unwrap();
        other.attach_writable().unwrap().write_at(0, &vec![b'y'; LENGTH]).unwrap();
    });
    assert_eq!(text_of(&output), vec![b'x'; LENGTH]);
}

fn an_overwritten_segment_is_read_as_old_and_then_new_bytes() {
    let segment = full();
    let output = read_while(&[], || {
        segment.attach_writable().unwrap().write_at(0, &vec![b'y'; LENGTH]).unwrap();
    });
    let text = text_of(&output);
    let old = text.iter().take_while(|byte| **byte == b'x').count();
    assert!(old > 0 && old < LENGTH, "{old}");
    assert!(text.len() == LENGTH && text[old..].iter().all(|byte| *byte == b'y'));
}

fn a_text_that_is_cut_by_a_nul_ends_there() {
    let segment = full();
    let output = read_while(&[], || {
        segment.attach_writable().unwrap().write_at(LENGTH / 2, &[0]).unwrap();
    });
    assert_eq!(text_of(&output), vec![b'x'; LENGTH / 2]);
}

const OBJECT: &str = "/dev/shm/object";
const AT: [&str; 2] = ["--posix", "object"];

fn full_object() {
    mount("64m");
    fs::write(OBJECT, vec![b'x'; LENGTH]).unwrap();
}

fn set_length(length: u64) {
    fs::File::options().write(true).open(OBJECT).unwrap().set_len(length).unwrap();
}

fn an_object_that_is_removed_is_read_to_its_end() {
    full_object();
    let output = read_while(&AT, || fs::remove_file(OBJECT).unwrap());
    assert_eq!(text_of(&output), vec![b'x'; LENGTH]);
}

fn an_object_that_shrinks_is_read_up_to_its_new_end() {
    full_object();
    for length in [LENGTH / 2, 4097, 1, 0] {
        fs::write(OBJECT, vec![b'x'; LENGTH]).unwrap();
        let text = text_of(&read_while(&AT, || set_length(length as u64)));
        assert!(text.len() >= length && text.len() < LENGTH, "{} for {length}", text.len());
        assert!(text.iter().all(|byte| *byte == b'x'));
    }
}

/// Writes a text from standard input and calls `act` after the tool has read its first byte.
fn write_while(arguments: &[&str], text: &[u8], act: impl FnOnce() + Send) -> ToolOutput {
    let args = shm_wr::args::Args::parse_from(["shm_wr"].iter().chain(arguments));
    write_from(&args, |mut writer| {
        writer.write_all(&text[..1]).unwrap();
        while rustix::io::ioctl_fionread(&writer).unwrap() > 0 {
            thread::yield_now();
        }
        act();
        // The tool may stop reading early.
        let _ = writer.write_all(&text[1..]);
    })
}

fn a_write_to_an_object_that_was_shrunk_succeeds_or_is_refused() {
    full_object();
    let arguments = ["--posix", "object", "--stdin"];
    let text = [b'y'; 1000];
    let fits = write_while(&arguments, &text, || set_length(0));
    assert_eq!(fits.status, 0, "the object grows to its default size");
    assert_eq!(fs::read(OBJECT).unwrap(), [&text[..], &[0; 24]].concat());

    fs::write(OBJECT, vec![b'x'; LENGTH]).unwrap();
    let refused = write_while(&arguments, &vec![b'y'; LENGTH / 2], || set_length(0));
    assert_eq!(refused.status, 255);
    assert!(!refused.stderr.is_empty() && refused.stdout == b"shm write failed\n", "{refused:?}");
}

fn repeated_truncation_of_an_object_kills_no_tool() {
    use std::sync::atomic::{AtomicBool, Ordering};

    full_object();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                set_length(0);
                set_length(LENGTH as u64);
            }
        });
        for _ in 0..50 {
            // Each run may succeed or fail, but no signal may end it.
            let tool = |name, arguments: &[&str]| {
                let mut command = assert_cmd::Command::new(crate::static_path(name));
                let output = command.args(AT).args(arguments).output().unwrap();
                assert!(matches!(output.status.code(), Some(0 | 255)), "{output:?}");
            };
            tool("shm_rd", &["--raw"]);
            tool("shm_wr", &["text"]);
        }
        done.store(true, Ordering::Relaxed);
    });
}
