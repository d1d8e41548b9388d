//! Measures one start of a tool: instructions, system calls, time, size.

use anyhow::Result;

use crate::commands::bench::environment::{BenchEnvironment, Side, printed_time, private};
use crate::commands::bench::measurement::{BenchGroup, BenchRow, Limit, Unit};
use crate::engine::dist::TOOLS;
use crate::process::invocation::{Invocation, Output};

const MAX_SYSTEM_CALLS: Option<Limit> = Some(Limit::Ours(60.0));
const MAX_START: Option<Limit> = Some(Limit::Ratio(1.1));
const MAX_BYTES: Option<Limit> = Some(Limit::Ours(1.9 * 1024.0 * 1024.0));

pub(super) fn rows(environment: &BenchEnvironment<'_>) -> Result<Vec<BenchRow>> {
    let [writer, reader] = ["shm_wr", "shm_rd"].map(|tool| environment.dist.tool(tool));
    let write = format!("{writer} hello_world >/dev/null && ");
    let floor = environment.file("floor");
    let valgrind = "valgrind --tool=callgrind --callgrind-out-file=/dev/null";
    // One start is too short to measure.
    let starts = format!("{} 200 /dev/null /dev/null", environment.file("starts"));
    let mut rows = Vec::new();
    for (tool, before, program, text) in
        [("shm_wr", "", &writer, " hello_world"), ("shm_rd", &write, &reader, "")]
    {
        let mut row = |name: &str, unit, needs, counter: &str, value, target| {
            let name = (BenchGroup::Process, format!("{tool}: {name}"), unit);
            let missing = environment.missing(&["unshare", "gcc", needs]);
            // Counts do not vary.
            let max_pairs = if unit == Unit::Count { 1 } else { usize::MAX };
            let sides = [(tool, program), ("C floor", &floor)].map(|(of, program)| {
                let script = format!("{before}exec {counter} {program}{text}");
                Side { of, command: private(&script), value }
            });
            rows.push(environment.row(name, missing, max_pairs, target, &sides)?);
            anyhow::Ok(())
        };
        row("instructions", Unit::Count, "valgrind", valgrind, instructions, None)?;
        row("system calls", Unit::Count, "strace", "strace -qq", calls, MAX_SYSTEM_CALLS)?;
        row("a start", Unit::Seconds, "gcc", &starts, printed_time, MAX_START)?;
    }
    for tool in TOOLS {
        let command = Invocation::new("stat", ["--format", "%s", &environment.dist.tool(tool)]);
        let name = (BenchGroup::Process, format!("{tool}: size"), Unit::Bytes);
        let side = Side { of: tool, command, value: |it| it.text().parse().ok() };
        rows.push(environment.row(name, None, 1, MAX_BYTES, &[side])?);
    }
    Ok(rows)
}

fn instructions(transcript: &Output) -> Option<f64> {
    let printed = String::from_utf8_lossy(&transcript.stderr);
    printed.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

fn calls(transcript: &Output) -> Option<f64> {
    let printed = String::from_utf8_lossy(&transcript.stderr);
    let calls = printed.lines().filter(|line| line.contains('(')).count();
    u32::try_from(calls).ok().filter(|calls| *calls > 0).map(f64::from)
}
