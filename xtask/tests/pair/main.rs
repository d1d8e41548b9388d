//! The tools' contract, cell by cell, on the default key in a namespace of its own; each side of
//! the pair with the other side of its own kind and with a C program's.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{ExitCode, Output};

use assert_cmd::Command;
use shm_core::{Key, Segment};
use shm_testkit::need::COMPILER;
use shm_testkit::programs::compile;
use shm_testkit::{Suite, Trial, tools, trials};

const WRITTEN: &str = "shm write success\n";
const NO_SEGMENT: &str = "shmget failed, errno: 2 msg: No such file or directory";

/// One side of a pair each, by its path.
struct Pair {
    writer: std::path::PathBuf,
    reader: std::path::PathBuf,
    /// What the C programs were compiled into.
    _folder: Option<tempfile::TempDir>,
}

impl Pair {
    fn tools() -> Self {
        Self { writer: tools::path("shm_wr"), reader: tools::path("shm_rd"), _folder: None }
    }

    fn original() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [writer, reader] =
            [("writer", "-DWRITER"), ("reader", "-UWRITER")].map(|(name, define)| {
                let program = folder.path().join(name);
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pair/original.c");
                compile(source, &program, &[define]);
                program
            });
        Self { writer, reader, _folder: Some(folder) }
    }

    fn write(&self, text: &[u8]) -> Output {
        Command::new(&self.writer).arg(OsStr::from_bytes(text)).output().unwrap()
    }

    fn read(&self) -> Output {
        Command::new(&self.reader).output().unwrap()
    }
}

/// Checks the cells of a row: all of standard output, the first line of the other, the status.
#[track_caller]
fn is_row(output: &Output, stdout: impl AsRef<[u8]>, first_of_stderr: &str, status: i32) {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(shown(&output.stdout), shown(stdout.as_ref()));
    let stderr = shown(&output.stderr);
    // With nothing to say, not even an empty line is said.
    assert_eq!(stderr.is_empty(), first_of_stderr.is_empty(), "{stderr}");
    assert_eq!(stderr.lines().next().unwrap_or_default(), first_of_stderr);
    assert_eq!(output.status.code(), Some(status));
}

/// The reader's form of a text.
fn spaced(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().flat_map(|byte| [*byte, b' ']).collect();
    [&spaced[..], b"\nshm read success\n"].concat()
}

fn a_text_is_written() {
    is_row(&Pair::tools().write(b"hello_world"), WRITTEN, "", 0);
}

fn a_text_is_read() {
    Pair::tools().write(b"hello_world");
    is_row(&Pair::tools().read(), "h e l l o _ w o r l d \nshm read success\n", "", 0);
}

fn without_a_segment_reading_fails() {
    is_row(&Pair::tools().read(), "shm read failed\n", NO_SEGMENT, 255);
}

fn without_an_argument_one_is_asked_for() {
    let output = tools::tool("shm_wr").output().unwrap();
    is_row(&output, "", "place input str, example: ./shm_wr abcd", 255);
    assert_eq!(output.stderr, b"place input str, example: ./shm_wr abcd\n");
    assert!(Segment::find(Key::DEFAULT).is_err());
}

fn a_write_that_fails_in_shmget_says_so() {
    let _ = Segment::create_new(Key::DEFAULT, 100, 0o666).unwrap();
    let told = "shmget failed, errno: 22 msg: Invalid argument";
    is_row(&Pair::tools().write(b"x"), "shm write failed\n", told, 255);
}

/// Runs a program where a segment of 1 GiB finds no room.
fn cramped(program: &Path, arguments: &[&str]) -> Output {
    Command::new("prlimit").arg("--as=536870912").arg(program).args(arguments).output().unwrap()
}

fn a_write_or_a_read_that_fails_in_shmat_says_so() {
    let (pair, segment) = (Pair::tools(), Segment::create_new(Key::DEFAULT, 1 << 30, 0o666));
    let told = "shmat failed, errno: 12 msg: Cannot allocate memory";
    is_row(&cramped(&pair.writer, &["x"]), "shm write failed\n", told, 255);
    is_row(&cramped(&pair.reader, &[]), "shm read failed\n", told, 255);
    assert_eq!(segment.unwrap().stat().unwrap().nattch, 0);
}

fn the_original_has_the_same_rows_but_for_the_status_of_a_failed_write() {
    let original = Pair::original();
    is_row(&original.read(), "shm read failed\n", NO_SEGMENT, 255);
    let asked = Command::new(&original.writer).output().unwrap();
    is_row(&asked, "", "place input str, example: ./shm_wr abcd", 255);
    is_row(&original.write(b"hello_world"), WRITTEN, "", 0);
    is_row(&original.read(), "h e l l o _ w o r l d \nshm read success\n", "", 0);
    Segment::find(Key::DEFAULT).unwrap().remove().unwrap();
    let _ = Segment::create_new(Key::DEFAULT, 100, 0o666).unwrap();
    let told = "shmget failed, errno: 22 msg: Invalid argument";
    is_row(&original.write(b"x"), "shm write failed\n", told, 0);
    is_row(&original.read(), "shm read failed\n", told, 255);
    Segment::find(Key::DEFAULT).unwrap().remove().unwrap();
    let _ = Segment::create_new(Key::DEFAULT, 1 << 30, 0o666).unwrap();
    let told = "shmat failed, errno: 12 msg: Cannot allocate memory";
    is_row(&cramped(&original.writer, &["x"]), "shm write failed\n", told, 0);
    is_row(&cramped(&original.reader, &[]), "shm read failed\n", told, 255);
}

/// Texts that a pair has to agree about.
fn texts() -> Vec<Vec<u8>> {
    let every_byte = (1..=255).collect();
    let mut texts =
        ["", "x", "hello_world", "two words", " ", "-", "%s%n", "共享", "a\nb\tc\r\u{1b}[31m"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
    texts.extend([every_byte, b"\xff\xfe".to_vec(), vec![b'x'; 1022], vec![b'y'; 1023]]);
    texts
}

/// Writes each text with one side and reads it with the other.
fn agree(writer: &Pair, reader: &Pair) {
    let mut id = None;
    for text in texts() {
        is_row(&writer.write(&text), WRITTEN, "", 0);
        is_row(&reader.read(), spaced(&text), "", 0);
        let segment = Segment::find(Key::DEFAULT).unwrap();
        let stat = segment.stat().unwrap();
        assert_eq!((stat.size, stat.mode, stat.nattch), (1024, 0o666, 0));
        assert_eq!(*id.get_or_insert(segment.id()), segment.id(), "it is the same segment");
    }
}

fn the_tool_reads_what_the_tool_wrote() {
    agree(&Pair::tools(), &Pair::tools());
}

fn the_original_reads_what_the_original_wrote() {
    agree(&Pair::original(), &Pair::original());
}

fn the_original_reads_what_the_tool_wrote() {
    agree(&Pair::tools(), &Pair::original());
}

fn the_tool_reads_what_the_original_wrote() {
    agree(&Pair::original(), &Pair::tools());
}

fn both_sides_take_turns_on_one_segment() {
    let (tools, original) = (Pair::tools(), Pair::original());
    for text in [&b"a longer text"[..], b"short", b""] {
        for (writer, reader) in [(&tools, &original), (&original, &tools)] {
            is_row(&writer.write(b"something else before"), WRITTEN, "", 0);
            is_row(&writer.write(text), WRITTEN, "", 0);
            is_row(&reader.read(), spaced(text), "", 0);
        }
    }
}

fn what_does_not_fit_is_refused_where_the_original_cuts_it() {
    let (tools, original) = (Pair::tools(), Pair::original());
    let text = [vec![b'x'; 1023], b"cut".to_vec()].concat();
    is_row(&original.write(b"before"), WRITTEN, "", 0);
    is_row(&tools.write(&text), "shm write failed\n", "the text does not fit", 255);
    is_row(&original.read(), spaced(b"before"), "", 0);

    is_row(&original.write(&text), WRITTEN, "", 0);
    let by_the_original = tools.read();
    is_row(&tools.write(b"between"), WRITTEN, "", 0);
    let truncated =
        tools::tool("shm_wr").arg("--truncate").arg(OsStr::from_bytes(&text)).output().unwrap();
    is_row(&truncated, WRITTEN, "", 0);
    assert_eq!(original.read(), by_the_original);
    is_row(&by_the_original, spaced(&[b'x'; 1023]), "", 0);
}

fn the_listing_does_not_tell_who_made_the_segment() {
    let listings = [Pair::tools(), Pair::original()].map(|pair| {
        pair.write(b"hello_world");
        let listing = tools::tool("shm_ls").output().unwrap().stdout;
        Segment::find(Key::DEFAULT).unwrap().remove().unwrap();
        // The shmid tells how many were made before.
        String::from_utf8(listing).unwrap().replacen("0134b3d5 1 ", "0134b3d5 0 ", 1)
    });
    assert_eq!(listings[0], listings[1]);
    assert!(listings[0].contains("\n0x0134b3d5 0          root       666        1024       0 "));
}

fn main() -> ExitCode {
    let trials = trials![
        Trial::isolated, &[] =>
            a_text_is_written,
            a_text_is_read,
            without_a_segment_reading_fails,
            without_an_argument_one_is_asked_for,
            a_write_that_fails_in_shmget_says_so,
            a_write_or_a_read_that_fails_in_shmat_says_so,
            the_tool_reads_what_the_tool_wrote;
        Trial::isolated, &[COMPILER] =>
            the_original_has_the_same_rows_but_for_the_status_of_a_failed_write,
            the_original_reads_what_the_original_wrote,
            the_original_reads_what_the_tool_wrote,
            the_tool_reads_what_the_original_wrote,
            both_sides_take_turns_on_one_segment,
            what_does_not_fit_is_refused_where_the_original_cuts_it,
            the_listing_does_not_tell_who_made_the_segment;
    ];
    Suite::new(trials).prepared_by(tools::environment).run()
}
