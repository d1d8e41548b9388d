//! The cost of the static tools: targets for size and system calls, and a generous limit on
//! instructions. The tests count; they do not measure times.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output};
use std::time::Duration;

use assert_cmd::Command;
use shm_testkit::need::{STRACE, VALGRIND};
use shm_testkit::trial::Variables;
use shm_testkit::{Need, Suite, Trial, trials};

const MOST_BYTES: u64 = 19 * 1024 * 1024 / 10;
/// A limit and no target: instructions are a small part of the start-up time.
const MOST_INSTRUCTIONS: u64 = 200_000;
const MOST_SYSTEM_CALLS: usize = 60;

/// A write, a read and a listing, each run under the counting program.
const STARTS: &str = "$COUNT shm_wr hello_world && $COUNT shm_rd && $COUNT shm_ls";

const USER_NAMESPACES: Need =
    Need::new("user and IPC namespaces", "unshare --user --map-root-user --ipc true");

fn main() -> ExitCode {
    let trials = trials![
        Trial::here, &[] =>
            the_tools_are_static_and_small,
            completions_and_manual_pages_are_generated;
        Trial::here, &[USER_NAMESPACES, VALGRIND] =>
            the_tools_take_at_most_200000_instructions;
        Trial::here, &[USER_NAMESPACES, STRACE] =>
            the_tools_take_at_most_60_system_calls;
    ];
    Suite::new(trials).prepared_by(build).run()
}

fn build() -> Variables {
    let mut dist = Command::new(env!("CARGO_BIN_EXE_xtask"));
    dist.arg("dist").timeout(Duration::from_mins(20)).assert().success();
    vec![]
}

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("dist")
}

/// Runs a shell command with the tools first in `PATH`. No other variable is set, because each one
/// costs instructions before `main`.
fn run(command: &str) -> Output {
    let path = format!("{}:{}", dist().display(), std::env::var("PATH").unwrap_or_default());
    Command::new("sh").env_clear().env("PATH", path).args(["-c", command]).output().unwrap()
}

/// Runs the three tools under a counting program in a new IPC namespace and returns what it prints.
fn count(program: &str) -> String {
    let script = STARTS.replace("$COUNT", program);
    let output = run(&format!("unshare --user --map-root-user --ipc sh -c '{script}'"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{script}: {stderr}");
    stderr
}

fn the_tools_are_static_and_small() {
    for tool in xtask::engine::dist::TOOLS {
        let path = dist().join(tool);
        let size = path.metadata().unwrap().len();
        assert!(size <= MOST_BYTES, "{tool} has {size} bytes");
        let output = run(&format!("ldd {}", path.display()));
        let ldd = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(ldd.contains("not a dynamic executable"), "{tool}: {ldd}");
    }
}

fn completions_and_manual_pages_are_generated() {
    for tool in xtask::engine::dist::TOOLS {
        for file in [format!("man/{tool}.1"), format!("completions/{tool}.bash")] {
            let text = std::fs::read_to_string(dist().join(&file)).unwrap();
            assert!(text.len() >= 100, "dist/{file} is too short: {text}");
        }
    }
}

fn the_tools_take_at_most_200000_instructions() {
    let printed = count("valgrind --tool=callgrind --callgrind-out-file=/dev/null");
    let collected = printed.lines().filter_map(|line| line.split_once("Collected : "));
    let counts: Vec<u64> = collected.map(|(_, count)| count.parse().unwrap()).collect();
    assert_eq!(counts.len(), 3, "{printed}");
    let few = counts.iter().all(|count| *count <= MOST_INSTRUCTIONS);
    assert!(few, "shm_wr, shm_rd and shm_ls: {counts:?} instructions");
}

fn the_tools_take_at_most_60_system_calls() {
    let printed = count("strace");
    let runs: Vec<_> = printed.split_inclusive("exited with 0").collect();
    let counts: Vec<_> = runs
        .iter()
        .map(|run| run.lines().filter(|line| line.contains(") = ") || line.contains(")  ")).count())
        .filter(|count| *count > 0)
        .collect();
    assert_eq!(counts.len(), 3, "{printed}");
    let few = counts.iter().all(|count| *count <= MOST_SYSTEM_CALLS);
    assert!(few, "shm_wr, shm_rd and shm_ls: {counts:?} system calls");
}
