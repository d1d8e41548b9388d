//! Sizes and limits: EINVAL, ENOSPC, ENOMEM.

use std::fs;

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{ends_with, starts_with};
use shm_cli::DEFAULT_KEY;
use shm_cli::change::Change;
use shm_core::Segment;
use shm_testkit::need::{LIMITS, OVERCOMMIT};
use shm_testkit::scratch::make;
use shm_testkit::{Trial, tools, trials};

use crate::{change, shm_rd, shm_wr, tells};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        Trial::isolated, &[] =>
            einval_of_shmget_names_the_size_of_a_smaller_segment,
            enomem_of_shmat_names_the_segment_that_does_not_fit;
        Trial::isolated, &[OVERCOMMIT] =>
            enomem_of_shmget_compares_the_size_with_the_memory_of_the_machine;
        Trial::isolated, &[LIMITS] =>
            einval_of_shmget_names_the_largest_size,
            enospc_of_shmget_says_that_all_segments_are_in_use,
            enospc_of_shmget_says_that_all_pages_are_in_use;
    ]
}

fn set(limit: &str, value: u64) {
    fs::write(format!("/proc/sys/kernel/{limit}"), value.to_string()).unwrap();
}

fn sysctl(name: &str, value: &str) -> String {
    change(Change::Sysctl { name, value })
}

/// Returns the hint at a limit.
fn remove_or_raise(name: &str, value: &str) -> String {
    format!(
        "remove some (shm_wr --remove --key KEY, or --id SHMID for a segment without a key), or \
         raise it; {}",
        sysctl(name, value)
    )
}

fn einval_of_shmget_names_the_size_of_a_smaller_segment() {
    let _ = Segment::create_new(DEFAULT_KEY, 100, 0o600).unwrap();
    for (arguments, asked) in [(&["x"][..], 1024), (&["--size", "101", "x"], 101)] {
        tells(
            &mut shm_wr(arguments),
            "shmget failed, errno: 22 msg: Invalid argument",
            &format!("the segment has 100 bytes, fewer than the requested {asked}"),
            "give --size 100, or remove the segment first (--remove)",
        );
    }
}

fn einval_of_shmget_names_the_largest_size() {
    set("shmmax", 4000);
    tells(
        &mut shm_wr(&["--size", "4001", "x"]),
        "shmget failed, errno: 22 msg: Invalid argument",
        "4001 bytes exceed kernel.shmmax of this namespace, 4000 bytes",
        &format!("give a smaller --size, or raise it; {}", sysctl("kernel.shmmax", "BYTES")),
    );
    assert!(Segment::find(DEFAULT_KEY).is_err());
    shm_wr(&["--size", "4000", "x"]).assert().code(0);
}

fn enospc_of_shmget_says_that_all_segments_are_in_use() {
    set("shmmni", 2);
    let segments = [make(1, 1, 0o600), make(2, 1, 0o600)];
    tells(
        &mut shm_wr(&["x"]),
        "shmget failed, errno: 28 msg: No space left on device",
        "all 2 segments that kernel.shmmni allows are in use",
        &remove_or_raise("kernel.shmmni", "NUMBER"),
    );
    segments[0].remove().unwrap();
    shm_wr(&["x"]).assert().code(0);
}

fn enospc_of_shmget_says_that_all_pages_are_in_use() {
    set("shmall", 3);
    let page = shm_core::Limits::current().unwrap().page_bytes;
    let _ = make(1, usize::try_from(page).unwrap() + 1, 0o600);
    tells(
        &mut shm_wr(&["--size", &(page + 1).to_string(), "x"]),
        "shmget failed, errno: 28 msg: No space left on device",
        "2 new pages and 2 existing pages exceed kernel.shmall, 3 pages",
        &remove_or_raise("kernel.shmall", "PAGES"),
    );
    shm_wr(&["x"]).assert().code(0);
}

fn enomem_of_shmget_compares_the_size_with_the_memory_of_the_machine() {
    let failed = shm_wr(&["--size", "1024T", "x"]).assert().code(255);
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap();
    let cause = match mode.trim() {
        "0" => "1125899906842624 bytes exceed all memory and swap of this machine, ",
        _ => "vm.overcommit_memory is 2, and of CommitLimit, ",
    };
    failed.stderr(
        starts_with(format!(
            "shmget failed, errno: 12 msg: Cannot allocate memory\ncause: {cause}"
        ))
        .and(ends_with("\nhint: give a smaller --size, or provide more memory or swap\n")),
    );
    assert!(Segment::find(DEFAULT_KEY).is_err());
}

fn enomem_of_shmat_names_the_segment_that_does_not_fit() {
    let segment = Segment::create_new(DEFAULT_KEY, 1 << 30, 0o640).unwrap();
    let cause = format!(
        "the address space has no room for segment {} of user 0, mode 0640, 1073741824 bytes",
        segment.id()
    );
    for (tool, arguments) in [("shm_rd", &[][..]), ("shm_wr", &["x"])] {
        let mut limited = Command::new("prlimit");
        limited.arg("--as=536870912").arg(tools::path(tool)).args(arguments);
        let first = "shmat failed, errno: 12 msg: Cannot allocate memory";
        tells(&mut limited, first, &cause, "raise the limit of the address space: ulimit -v");
    }
    shm_rd(&[]).assert().code(0);
}
