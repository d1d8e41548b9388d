//! Segments of huge pages on a machine with an empty pool: each access to their memory fails.

use assert_cmd::Command;
use predicates::str::starts_with;
use shm_cli::DEFAULT_KEY;
use shm_cli::progress::Progress;
use shm_cli::transfer::{self, TransferError};
use shm_core::{Address, Descriptor, Error, Segment};
use shm_testkit::programs::shell;
use shm_testkit::tools::{self, tool};
use shm_testkit::{Need, Trial, trials};

/// Creates a segment of 2 MiB of huge pages, `SHM_HUGETLB | SHM_NORESERVE`, without memory for it.
const MAKE: &str = "perl -e 'shmget(20231125, 2097152, 01000 | 04000 | 010000 | 0666) // die $!'";
const HUGE_PAGES: Need = Need::new(
    "segments of huge pages with an empty pool, and perl",
    "test $(cat /proc/sys/vm/nr_hugepages) = 0 && perl -e 'shmget(20231125, 2097152, 01000 | 04000 | 010000 | 0666) // die $!'",
);

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[HUGE_PAGES] =>
            a_missing_page_is_reported_by_both_tools_in_every_form,
            a_missing_page_in_a_system_call_is_reported_as_an_error_of_the_segment,
            a_sigbus_sent_by_another_process_still_ends_a_tool;
    ]
}

fn make() {
    Command::new("sh").args(["-c", MAKE]).assert().success();
}

const TOLD: &str = "a page of the segment with key 0x0134b3d5 is not available\n\
                    cause: an access to the segment failed with SIGBUS: the kernel has no page for \
                    it\n\
                    hint: if the segment";

fn a_missing_page_is_reported_by_both_tools_in_every_form() {
    make();
    for form in [&[][..], &["--checksum"], &["--framed"], &["--wait=1"]] {
        let assert = tool("shm_rd").args(form).assert().code(255);
        assert.stdout("shm read failed\n").stderr(starts_with(TOLD));
    }
    tool("shm_rd").arg("--raw").assert().code(255).stdout("").stderr(starts_with(TOLD));
    for form in [&["x"][..], &["--framed", "x"], &["--stdin"], &["--framed", "--stdin"]] {
        let assert = tool("shm_wr").args(form).write_stdin("x").assert().code(255);
        assert.stdout("shm write failed\n").stderr(starts_with(TOLD));
    }
    let long = vec![b'x'; 1_500_000];
    let assert = tool("shm_wr").args(["--stdin"]).write_stdin(long).assert().code(255);
    assert.stderr(starts_with(TOLD));
    for (name, arguments) in [("shm_rd", &["--json"][..]), ("shm_wr", &["--json", "x"])] {
        let assert = tool(name).args(arguments).assert().code(255).stderr("");
        let json: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        assert_eq!(json["ok"], false);
        assert!(TOLD.starts_with(json["error"]["message"].as_str().unwrap()), "{json}");
    }
    // Listing and removing the segment touch no page.
    tool("shm_ls").assert().code(0);
    tool("shm_wr").arg("--remove").assert().code(0);
}

fn a_missing_page_in_a_system_call_is_reported_as_an_error_of_the_segment() {
    make();
    let memory = Address::from(DEFAULT_KEY).open_writable(1).unwrap();
    let input = tempfile::tempfile().unwrap();
    input.set_len(1 << 20).unwrap();
    let source = Descriptor(std::os::fd::AsFd::as_fd(&input));
    let filled = transfer::fill(&memory, 0..1 << 21, source, None, &mut Progress::new(None));
    let id = Segment::find(DEFAULT_KEY).unwrap().id();
    match filled {
        Err(TransferError::Memory(error)) => assert_eq!(error, Error::Fault { id }),
        other => panic!("{other:?}"),
    }
}

fn a_sigbus_sent_by_another_process_still_ends_a_tool() {
    let script = "\"$0\" --wait & sleep 0.2; kill -BUS $!; wait $!";
    shell(script, tools::path("shm_rd"), &[]).assert().code(135).stdout("");
}
