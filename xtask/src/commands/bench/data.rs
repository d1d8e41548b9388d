//! Measures how fast bulk data is written to shared memory and read from it.

use anyhow::Result;
use tempfile::NamedTempFile;

use crate::commands::bench::environment::{BenchEnvironment, Side, printed_time, private};
use crate::commands::bench::measurement::{BenchGroup, BenchRow, Limit, Unit};
use crate::process::invocation::Invocation;

/// A tmpfs, so that the measurement includes no disk.
const MEMORY: &str = "/dev/shm";
/// More than the cache of a processor holds.
const MIB: usize = 256;
/// The limit for nine tenths of the baseline's speed.
const MAX_TIME: Option<Limit> = Some(Limit::Ratio(1.0 / 0.9));
/// The limit for 1 GB of text per second.
const MAX_SPACED: Option<Limit> = Some(Limit::Ours(0.268));

/// Both sides write to pages that are already allocated, except in the row of a new segment.
pub(super) fn rows(environment: &BenchEnvironment<'_>) -> Result<Vec<BenchRow>> {
    let (input, output) = (NamedTempFile::new_in(MEMORY)?, NamedTempFile::new_in(MEMORY)?);
    let [input, output] = [&input, &output].map(|file| file.path().display().to_string());
    let shell = |script: &str| Invocation::new("sh", ["-c", script]);
    // The last byte of the memory is for the NUL after the text.
    let length = (MIB << 20) - 1;
    let fill = shell(&format!("yes 'A long text.' | head -c {length} >{input}"));
    let no_room = |_| format!("there is no room for {MIB} MiB in {MEMORY}");
    let missing = environment.missing(&["unshare", "gcc"]);
    let skipped = missing.or_else(|| environment.run(&fill).err().map(no_room));
    let (starts, floor_read) = (environment.file("starts"), environment.file("floor_read"));
    let [writer, reader] = ["shm_wr", "shm_rd"].map(|tool| environment.dist.tool(tool));
    let (write, raw) = (format!("{writer} --stdin --size {MIB}M"), format!("{reader} --raw"));
    let cat = format!("cat {input}");
    let dd = format!("dd if={input} of={output} bs=1M conv=notrunc status=none");

    let start = |command: &str| format!("exec {starts} 3 /dev/null /dev/null {command}");
    let start_from = |command: &str| format!("exec {starts} 3 {input} /dev/null {command}");
    let start_to = |command: &str| format!("exec {starts} 3 /dev/null {output} {command}");
    let pipe = |command: &str| start(&format!("sh -c '{command} | cat >/dev/null'"));
    let side = |of, command| Side { of, command, value: printed_time };
    let ours =
        |of, script: String| side(of, private(&format!("{write} <{input} >/dev/null && {script}")));
    let other = |of, script: String| side(of, shell(&script));
    let floor = || other("C read(2)", format!("exec {floor_read} 3 {length} {input}"));
    let mut rows = Vec::new();
    let mut row = |name: &str, ours, other, target| {
        let name = (BenchGroup::Data, format!("{name}, {MIB} MiB"), Unit::Seconds);
        let sides = [ours, other];
        rows.push(environment.row(name, skipped.clone(), usize::MAX, target, &sides)?);
        anyhow::Ok(())
    };

    let write_file = || ours("shm_wr --stdin", start_from(&write));
    row("write from a file", write_file(), floor(), MAX_TIME)?;
    let dd = other("dd to a tmpfs", format!("{dd} && {}", start(&dd)));
    row("write from a file", write_file(), dd, None)?;
    let new = private(&format!("exec {starts} 1 {input} /dev/null {write}"));
    row("write into a new segment", side("shm_wr --stdin", new), floor(), None)?;
    let checksum = ours("shm_wr --stdin --checksum", start_from(&format!("{write} --checksum")));
    row("write with a checksum", checksum, floor(), None)?;
    let (read_to_pipe, cat_to_pipe) = (pipe(&raw), other("cat | cat", pipe(&cat)));
    row("read to a pipe", ours("shm_rd --raw | cat", read_to_pipe), cat_to_pipe, MAX_TIME)?;
    let (read_to_file, cat_to_file) = (start_to(&raw), other("cat of a tmpfs", start_to(&cat)));
    row("read to a file", ours("shm_rd --raw", read_to_file), cat_to_file, None)?;
    let spaced = ours("shm_rd", start(&reader));
    row("read with spaces to /dev/null", spaced, floor(), MAX_SPACED)?;
    Ok(rows)
}
