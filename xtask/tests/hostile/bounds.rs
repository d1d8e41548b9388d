//! Large shared memory under small memory limits of the kernel.

use std::fs;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use shm_cli::DEFAULT_KEY;
use shm_core::{Segment, Usage};
use shm_testkit::need::MOUNTS;
use shm_testkit::{Need, Trial, trials};

use crate::{limited, mount, static_path};

const FOUR_GIB: Need = Need::new("a segment of 4 GiB, most of it untouched", "ipcmk -M 4294967296");
const THREE_GIB: Need =
    Need::new("3 GiB of free memory", "awk '/MemAvailable/ { exit $2 < 3145728 }' /proc/meminfo");

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            all_three_tools_run_in_an_address_space_of_4_mib,
            an_address_space_too_small_for_the_segment_is_reported;
        Trial::isolated, &[FOUR_GIB] =>
            reading_and_writing_a_segment_of_4_gib_touches_few_pages;
        Trial::isolated, &[THREE_GIB] =>
            a_text_of_1_gib_in_a_segment_is_printed_in_4_mib_of_memory;
        Trial::isolated, &[MOUNTS, THREE_GIB] =>
            a_text_of_1_gib_in_a_file_is_printed_in_4_mib_of_memory,
            a_text_of_1_gib_is_printed_with_spaces_in_4_mib_of_memory;
        Trial::isolated, &[MOUNTS] =>
            a_text_too_large_for_json_is_reported_in_json;
    ]
}

/// A limit of private data; code and shared memory do not count, see `setrlimit(2)`.
const FOUR_MIB: &str = "--data=4194304";
const GIB: usize = 1 << 30;

fn all_three_tools_run_in_an_address_space_of_4_mib() {
    let limit = "--as=4194304";
    limited(limit, "shm_wr", &["hello"]).assert().code(0).stdout("shm write success\n");
    limited(limit, "shm_rd", &["--raw"]).assert().code(0).stdout("hello");
    limited(limit, "shm_rd", &["--json"]).assert().code(0);
    limited(limit, "shm_ls", &[]).assert().code(0);
    limited(limit, "shm_ls", &["--json"]).assert().code(0);
    limited(limit, "shm_ls", &["--limits"]).assert().code(0);
    for object in ["sem", "msg", "mqueue"] {
        limited(limit, "shm_wr", &["--object", object, "hello"]).assert().code(0);
        let read = limited(limit, "shm_rd", &["--object", object, "--raw"]).assert();
        read.code(0).stdout("hello");
    }
    limited(limit, "shm_wr", &["--remove"]).assert().code(0);
}

fn an_address_space_too_small_for_the_segment_is_reported() {
    let _ = Segment::create_new(DEFAULT_KEY, GIB, 0o600).unwrap();
    for (tool, arguments) in [("shm_rd", &["--json"][..]), ("shm_wr", &["--json", "text"])] {
        let assert = limited("--as=4194304", tool, arguments).assert().code(255);
        let json: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        assert_eq!(json["error"]["errno_name"], "ENOMEM");
        assert_eq!(json["error"]["hint"], "raise the limit of the address space: ulimit -v");
    }
}

fn reading_and_writing_a_segment_of_4_gib_touches_few_pages() {
    let segment = Segment::create_new(DEFAULT_KEY, 4 * GIB, 0o600).unwrap();
    let attachment = segment.attach_writable().unwrap();
    attachment.write_at(0, b"start").unwrap();
    attachment.write_at(4 * GIB - 3, b"end").unwrap();
    limited(FOUR_MIB, "shm_rd", &["--raw"]).assert().code(0).stdout("start");
    let json = limited(FOUR_MIB, "shm_rd", &["--json"]).assert().code(0);
    let json: Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!((&json["size"], &json["length"]), (&(4 * GIB).into(), &5.into()));
    limited(FOUR_MIB, "shm_wr", &["again"]).assert().code(0);
    limited(FOUR_MIB, "shm_wr", &["--stdin"]).write_stdin("more").assert().code(0);
    limited(FOUR_MIB, "shm_rd", &["--raw"]).assert().code(0).stdout("more");
    limited(FOUR_MIB, "shm_ls", &[]).assert().code(0);
    let mut bytes = [0; 4];
    assert_eq!(attachment.read_at(4 * GIB - 3, &mut bytes), 3);
    assert_eq!(&bytes, b"end\0");
    // Reading an untouched page allocates it, so the tools must read no more than the text.
    let pages = Usage::current().unwrap().resident_pages;
    assert!(pages < 256, "{pages} pages");
}

/// Runs a pipeline in which every command must succeed. `$TEXT` prints 1 GiB of one character,
/// `$READ` is the limited reader, `$WRITE` the writer.
fn pipeline(script: &str) {
    let [reader, writer] = ["shm_rd", "shm_wr"].map(|name| static_path(name).display().to_string());
    let script = script
        .replace("$TEXT", &format!("head -c {GIB} /dev/zero | tr '\\0' x"))
        .replace("$READ", &format!("prlimit {FOUR_MIB} '{reader}'"))
        .replace("$WRITE", &format!("'{writer}'"));
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", &script]).timeout(Duration::from_secs(50));
    shell.assert().success().stderr("");
}

fn a_text_of_1_gib_in_a_segment_is_printed_in_4_mib_of_memory() {
    // One more byte for the NUL.
    pipeline("$TEXT | $WRITE --stdin --size 1073741825");
    pipeline("$READ --raw | cmp - <($TEXT)");
}

fn a_text_of_1_gib_in_a_file_is_printed_in_4_mib_of_memory() {
    mount("2g");
    pipeline("$TEXT >/dev/shm/gib");
    pipeline("$READ --raw --posix gib | cmp - <($TEXT)");
}

fn a_text_of_1_gib_is_printed_with_spaces_in_4_mib_of_memory() {
    mount("2g");
    pipeline("$TEXT >/dev/shm/gib");
    // Besides the text, the output contains only spaces and the last two lines.
    pipeline("$READ --posix gib | tr -d ' \\n' | cmp - <($TEXT; printf shmreadsuccess)");
}

fn a_text_too_large_for_json_is_reported_in_json() {
    mount("64m");
    fs::write("/dev/shm/large", vec![b'x'; 32 << 20]).unwrap();
    let assert = limited(FOUR_MIB, "shm_rd", &["--json", "--posix", "large"]).assert().code(255);
    let output = assert.get_output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{stderr}"));
    assert_eq!(json["ok"], false);
    let cause = json["error"]["cause"].as_str().unwrap();
    assert!(cause.contains("as much memory as the text has bytes"), "{cause}");
    // With enough memory the text is printed.
    let assert = limited("--data=104857600", "shm_rd", &["--json", "--posix", "large"]).assert();
    let json: Value = serde_json::from_slice(&assert.code(0).get_output().stdout).unwrap();
    assert_eq!(json["length"], 32 << 20);
}
