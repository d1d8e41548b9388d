//! What the static tools cost: targets for size and system calls, and a limit of instructions that only
//! an accident exceeds. Counts, no times.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use libtest_mimic::{Arguments, Failed, Trial};
use shm_testkit::programs::which;

const MOST_BYTES: u64 = 18 * 1024 * 1024 / 10;
/// No target: instructions are a small part of a start's time.
const MOST_INSTRUCTIONS: u64 = 180_000;
const MOST_SYSTEM_CALLS: usize = 60;

/// Writes, reads and lists in a namespace of its own, counted by the program before each.
const STARTS: &str = "$COUNT shm_wr hello_world && $COUNT shm_rd && $COUNT shm_ls";

fn main() {
    let arguments = Arguments::from_args();
    if !arguments.list {
        Command::new(env!("CARGO_BIN_EXE_xtask")).arg("dist").timeout(MINUTES).assert().success();
    }
    let trials = vec![
        Trial::test("the_tools_are_static_and_small", static_and_small),
        Trial::test("completions_and_manual_pages_are_made", documented),
        needs("valgrind", "the_tools_take_at_most_180000_instructions", instructions),
        needs("strace", "the_tools_take_at_most_60_system_calls", system_calls),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

const MINUTES: std::time::Duration = std::time::Duration::from_mins(20);

/// A trial that is ignored, with the reason in its name, where a program is missing.
fn needs(program: &str, name: &str, trial: fn() -> Result<(), Failed>) -> Trial {
    let there = which(program).is_some();
    let namespaces = run("unshare --user --map-root-user --ipc true").status.success();
    match (there, namespaces) {
        (true, true) => Trial::test(name, trial),
        (false, _) => Trial::test(format!("{name} ({program} is not installed)"), trial)
            .with_ignored_flag(true),
        (_, false) => {
            Trial::test(format!("{name} (no user namespaces)"), trial).with_ignored_flag(true)
        }
    }
}

fn dist() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("dist")
}

/// Runs a shell command with the tools first in PATH and nothing else in its environment: each
/// variable costs instructions before `main`.
fn run(command: &str) -> Output {
    let path = format!("{}:{}", dist().display(), std::env::var("PATH").unwrap_or_default());
    Command::new("sh").env_clear().env("PATH", path).args(["-c", command]).output().unwrap()
}

fn count(program: &str) -> Result<String, Failed> {
    let script = STARTS.replace("$COUNT", program);
    let output = run(&format!("unshare --user --map-root-user --ipc sh -c '{script}'"));
    if !output.status.success() {
        return Err(format!("{script}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stderr)?)
}

fn static_and_small() -> Result<(), Failed> {
    for tool in xtask::engine::dist::TOOLS {
        let path = dist().join(tool);
        let size = path.metadata()?.len();
        if size > MOST_BYTES {
            return Err(format!("{tool} has {size} bytes").into());
        }
        let output = run(&format!("ldd {}", path.display()));
        let said = [output.stdout, output.stderr].concat();
        if !String::from_utf8(said)?.contains("not a dynamic executable") {
            return Err(format!("{tool} is not static").into());
        }
    }
    Ok(())
}

fn documented() -> Result<(), Failed> {
    for tool in xtask::engine::dist::TOOLS {
        for file in [format!("man/{tool}.1"), format!("completions/{tool}.bash")] {
            if std::fs::read_to_string(dist().join(&file))?.len() < 100 {
                return Err(format!("dist/{file} is empty").into());
            }
        }
    }
    Ok(())
}

fn instructions() -> Result<(), Failed> {
    let told = count("valgrind --tool=callgrind --callgrind-out-file=/dev/null")?;
    let collected = told.lines().filter_map(|line| line.split_once("Collected : "));
    let counts: Vec<u64> = collected.map(|(_, count)| count.parse()).collect::<Result<_, _>>()?;
    if counts.len() != 3 || counts.iter().any(|count| *count > MOST_INSTRUCTIONS) {
        return Err(format!("shm_wr, shm_rd and shm_ls: {counts:?} instructions").into());
    }
    Ok(())
}

fn system_calls() -> Result<(), Failed> {
    let told = count("strace")?;
    let runs: Vec<_> = told.split_inclusive("exited with 0").collect();
    let counts: Vec<_> = runs
        .iter()
        .map(|run| run.lines().filter(|line| line.contains(") = ") || line.contains(")  ")).count())
        .filter(|count| *count > 0)
        .collect();
    if counts.len() != 3 || counts.iter().any(|count| *count > MOST_SYSTEM_CALLS) {
        return Err(format!("shm_wr, shm_rd and shm_ls: {counts:?} system calls").into());
    }
    Ok(())
}
