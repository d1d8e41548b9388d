//! The contract of the tools: output, first line of errors and exit status, with the default key in
//! a private namespace. The writer and the reader are also paired with C programs.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{ExitCode, Output};

use assert_cmd::Command;
use shm_cli::DEFAULT_KEY;
use shm_core::Segment;
use shm_testkit::need::COMPILER;
use shm_testkit::programs::compile;
use shm_testkit::{Suite, Trial, tools, trials};

const WRITTEN: &str = "shm write success\n";
const NO_SEGMENT: &str = "shmget failed, errno: 2 msg: No such file or directory";

/// A writer and a reader, given by their paths.
struct Pair {
    writer: std::path::PathBuf,
    reader: std::path::PathBuf,
    /// The folder of the compiled C programs.
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

/// Asserts the standard output, the first line of standard error, and the exit status.
#[track_caller]
fn prints(output: &Output, stdout: impl AsRef<[u8]>, first_of_stderr: &str, status: i32) {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(shown(&output.stdout), shown(stdout.as_ref()));
    let stderr = shown(&output.stderr);
    // Without an error, standard error is empty: it has no empty line either.
    assert_eq!(stderr.is_empty(), first_of_stderr.is_empty(), "{stderr}");
    assert_eq!(stderr.lines().next().unwrap_or_default(), first_of_stderr);
    assert_eq!(output.status.code(), Some(status));
}

/// Returns a text as the reader prints it.
fn spaced(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().flat_map(|byte| [*byte, b' ']).collect();
    [&spaced[..], b"\nshm read success\n"].concat()
}

fn a_text_is_written() {
    prints(&Pair::tools().write(b"hello_world"), WRITTEN, "", 0);
}

fn a_text_is_read() {
    Pair::tools().write(b"hello_world");
    prints(&Pair::tools().read(), "h e l l o _ w o r l d \nshm read success\n", "", 0);
}

fn reading_fails_without_a_segment() {
    prints(&Pair::tools().read(), "shm read failed\n", NO_SEGMENT, 255);
}

fn writing_without_an_argument_prints_the_usage() {
    let output = tools::tool("shm_wr").output().unwrap();
    prints(&output, "", "place input str, example: ./shm_wr abcd", 255);
    assert_eq!(output.stderr, b"place input str, example: ./shm_wr abcd\n");
    assert!(Segment::find(DEFAULT_KEY).is_err());
}

fn a_failed_shmget_of_the_writer_is_reported() {
    let _ = Segment::create_new(DEFAULT_KEY, 100, 0o666).unwrap();
    let error = "shmget failed, errno: 22 msg: Invalid argument";
    prints(&Pair::tools().write(b"x"), "shm write failed\n", error, 255);
}

/// Runs a program in an address space that is too small for a segment of 1 GiB.
fn limited(program: &Path, arguments: &[&str]) -> Output {
    Command::new("prlimit").arg("--as=536870912").arg(program).args(arguments).output().unwrap()
}

fn a_failed_shmat_of_the_writer_or_reader_is_reported() {
    let (pair, segment) = (Pair::tools(), Segment::create_new(DEFAULT_KEY, 1 << 30, 0o666));
    let error = "shmat failed, errno: 12 msg: Cannot allocate memory";
    prints(&limited(&pair.writer, &["x"]), "shm write failed\n", error, 255);
    prints(&limited(&pair.reader, &[]), "shm read failed\n", error, 255);
    assert_eq!(segment.unwrap().stat().unwrap().nattch, 0);
}

fn the_original_differs_only_in_the_status_of_a_failed_write() {
    let original = Pair::original();
    prints(&original.read(), "shm read failed\n", NO_SEGMENT, 255);
    let asked = Command::new(&original.writer).output().unwrap();
    prints(&asked, "", "place input str, example: ./shm_wr abcd", 255);
    prints(&original.write(b"hello_world"), WRITTEN, "", 0);
    prints(&original.read(), "h e l l o _ w o r l d \nshm read success\n", "", 0);
    Segment::find(DEFAULT_KEY).unwrap().remove().unwrap();
    let _ = Segment::create_new(DEFAULT_KEY, 100, 0o666).unwrap();
    let error = "shmget failed, errno: 22 msg: Invalid argument";
    prints(&original.write(b"x"), "shm write failed\n", error, 0);
    prints(&original.read(), "shm read failed\n", error, 255);
    Segment::find(DEFAULT_KEY).unwrap().remove().unwrap();
    let _ = Segment::create_new(DEFAULT_KEY, 1 << 30, 0o666).unwrap();
    let error = "shmat failed, errno: 12 msg: Cannot allocate memory";
    prints(&limited(&original.writer, &["x"]), "shm write failed\n", error, 0);
    prints(&limited(&original.reader, &[]), "shm read failed\n", error, 255);
}

/// Texts that every pair must write and read back.
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
fn assert_read_back(writer: &Pair, reader: &Pair) {
    let mut id = None;
    for text in texts() {
        prints(&writer.write(&text), WRITTEN, "", 0);
        prints(&reader.read(), spaced(&text), "", 0);
        let segment = Segment::find(DEFAULT_KEY).unwrap();
        let stat = segment.stat().unwrap();
        assert_eq!((stat.size, stat.mode, stat.nattch), (1024, 0o666, 0));
        assert_eq!(*id.get_or_insert(segment.id()), segment.id(), "another segment");
    }
}

fn the_tool_reads_what_the_tool_wrote() {
    assert_read_back(&Pair::tools(), &Pair::tools());
}

fn the_original_reads_what_the_original_wrote() {
    assert_read_back(&Pair::original(), &Pair::original());
}

fn the_original_reads_what_the_tool_wrote() {
    assert_read_back(&Pair::tools(), &Pair::original());
}

fn the_tool_reads_what_the_original_wrote() {
    assert_read_back(&Pair::original(), &Pair::tools());
}

fn tools_and_original_alternate_on_one_segment() {
    let (tools, original) = (Pair::tools(), Pair::original());
    for text in [&b"a longer text"[..], b"short", b""] {
        for (writer, reader) in [(&tools, &original), (&original, &tools)] {
            prints(&writer.write(b"something else before"), WRITTEN, "", 0);
            prints(&writer.write(text), WRITTEN, "", 0);
            prints(&reader.read(), spaced(text), "", 0);
        }
    }
}

fn a_text_that_does_not_fit_is_rejected_where_the_original_truncates_it() {
    let (tools, original) = (Pair::tools(), Pair::original());
    let text = [vec![b'x'; 1023], b"cut".to_vec()].concat();
    prints(&original.write(b"before"), WRITTEN, "", 0);
    prints(&tools.write(&text), "shm write failed\n", "the text does not fit", 255);
    prints(&original.read(), spaced(b"before"), "", 0);

    prints(&original.write(&text), WRITTEN, "", 0);
    let by_the_original = tools.read();
    prints(&tools.write(b"between"), WRITTEN, "", 0);
    let truncated =
        tools::tool("shm_wr").arg("--truncate").arg(OsStr::from_bytes(&text)).output().unwrap();
    prints(&truncated, WRITTEN, "", 0);
    assert_eq!(original.read(), by_the_original);
    prints(&by_the_original, spaced(&[b'x'; 1023]), "", 0);
}

fn the_listing_is_the_same_for_segments_of_tools_and_original() {
    let listings = [Pair::tools(), Pair::original()].map(|pair| {
        pair.write(b"hello_world");
        let listing = tools::tool("shm_ls").output().unwrap().stdout;
        Segment::find(DEFAULT_KEY).unwrap().remove().unwrap();
        // The shmid depends on how many segments were created before.
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
            reading_fails_without_a_segment,
            writing_without_an_argument_prints_the_usage,
            a_failed_shmget_of_the_writer_is_reported,
            a_failed_shmat_of_the_writer_or_reader_is_reported,
            the_tool_reads_what_the_tool_wrote;
        Trial::isolated, &[COMPILER] =>
            the_original_differs_only_in_the_status_of_a_failed_write,
            the_original_reads_what_the_original_wrote,
            the_original_reads_what_the_tool_wrote,
            the_tool_reads_what_the_original_wrote,
            tools_and_original_alternate_on_one_segment,
            a_text_that_does_not_fit_is_rejected_where_the_original_truncates_it,
            the_listing_is_the_same_for_segments_of_tools_and_original;
    ];
    Suite::new(trials).prepared_by(tools::environment).run()
}
