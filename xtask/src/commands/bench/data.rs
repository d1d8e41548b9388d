//! How fast much data goes into shared memory and out of it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use tempfile::NamedTempFile;

use crate::commands::bench::measurement::{Comparison, Group, Row, Target, Unit};
use crate::commands::bench::peers;
use crate::commands::bench::workplace::Workplace;
use crate::process::invocation::Invocation;

/// Where there is a tmpfs.
const MEMORY: &str = "/dev/shm";
/// How much: more than any cache holds.
const MIB: usize = 256;
/// Of the peer's time: nine tenths of its speed.
const MOST_TIME: f64 = 1.0 / 0.9;
/// A text of 1 GB in a second.
const MOST_SPACED_SECONDS: f64 = 0.268;
/// How often a program is started for one time.
const STARTS: usize = 3;

/// What is compared, with the commands of both sides, which print nanoseconds.
struct Case {
    name: &'static str,
    ours: (&'static str, Invocation),
    peer: (&'static str, Invocation),
    target: Option<Target>,
}

pub(super) fn rows(place: &Workplace<'_>) -> Result<Vec<Row>> {
    let needs = ["unshare", "gcc", "cat", "dd"];
    if let Some(why) = needs.iter().find_map(|program| place.unsupported_reason(program)) {
        let name = "all of it".to_owned();
        return Ok(vec![Row::Skipped { group: Group::Data, name, why }]);
    }
    let (input, output) = match (file(MIB), file(0)) {
        (Ok(input), Ok(output)) => (input, output),
        (Err(error), _) | (_, Err(error)) => {
            let why = format!("there is no room for {MIB} MiB in {MEMORY}: {error}");
            return Ok(vec![Row::Skipped {
                group: Group::Data,
                name: "all of it".to_owned(),
                why,
            }]);
        }
    };
    let cases = cases(place, &path(input.path()), &path(output.path()))?;
    let row = |case: Case| {
        let name = format!("{}, {MIB} MiB", case.name);
        place.row((Group::Data, name), &[], |name| case.measure(place, name))
    };
    cases.into_iter().map(row).collect()
}

/// Memory that is written to is there before, on both sides, unless it is said to be new.
fn cases(place: &Workplace<'_>, input: &str, output: &str) -> Result<Vec<Case>> {
    let (starts, read) = (place.build(peers::STARTS)?, place.build(peers::FLOOR_READ)?);
    let (writer, reader) = (place.tool("shm_wr"), place.tool("shm_rd"));
    let write = format!("{writer} --stdin --size {MIB}M");
    let fill = format!("{write} <{input} >/dev/null");
    let times = |files: &str, command: &str| format!("exec {starts} {STARTS} {files} {command}");
    let ours = |files: &str, command: &str| {
        Workplace::private(&format!("{fill} && {}", times(files, command)))
    };
    let peer = |script: String| Invocation::new("sh", ["-c", &script]);
    let (from_file, to_nothing) = (format!("{input} /dev/null"), "/dev/null /dev/null");
    let to_file = format!("/dev/null {output}");
    let dd = format!("dd if={input} of={output} bs=1M conv=notrunc status=none");
    let raw = format!("{reader} --raw");
    let cat = format!("cat {input}");
    let with_dd = peer(format!("{dd} && {}", times(to_nothing, &dd)));
    let with_read = peer(format!("{read} {STARTS} {input}"));
    let fresh = Workplace::private(&format!("exec {starts} 1 {from_file} {write}"));
    let pipe = |command: &str| format!("sh -c '{command} | cat >/dev/null'");
    let case = |name, ours, peer, target| Case { name, ours, peer, target };
    let floor = || (peers::FLOOR_READ.title, with_read.clone());
    Ok(vec![
        case(
            "write from a file",
            ("shm_wr --stdin", ours(&from_file, &write)),
            floor(),
            Some(Target::Ratio(MOST_TIME)),
        ),
        case(
            "write from a file",
            ("shm_wr --stdin", ours(&from_file, &write)),
            ("dd to a tmpfs", with_dd),
            None,
        ),
        case("write into a new segment", ("shm_wr --stdin", fresh), floor(), None),
        case(
            "write with a checksum",
            ("shm_wr --stdin --checksum", ours(&from_file, &format!("{write} --checksum"))),
            floor(),
            None,
        ),
        case(
            "read to a pipe",
            ("shm_rd --raw | cat", ours(to_nothing, &pipe(&raw))),
            ("cat | cat", peer(times(to_nothing, &pipe(&cat)))),
            Some(Target::Ratio(MOST_TIME)),
        ),
        case(
            "read to a file",
            ("shm_rd --raw", ours(&to_file, &raw)),
            ("cat of a tmpfs", peer(times(&to_file, &cat))),
            None,
        ),
        case(
            "read with spaces to /dev/null",
            ("shm_rd", ours(to_nothing, &reader)),
            floor(),
            Some(Target::Ours(MOST_SPACED_SECONDS)),
        ),
    ])
}

impl Case {
    fn measure(&self, place: &Workplace<'_>, name: String) -> Result<Comparison> {
        let (ours, peer) = (&self.ours, &self.peer);
        let pairs = place.pairs(&ours.1, &peer.1)?;
        Ok(Comparison {
            group: Group::Data,
            name,
            unit: Unit::Seconds,
            ours: place.measurement(ours.0, pairs.ours, &ours.1),
            peer: Some(place.measurement(peer.0, pairs.peer, &peer.1)),
            ratio: Some(pairs.ratio),
            target: self.target,
        })
    }
}

/// A file of text, in memory: no disk is measured.
fn file(mib: usize) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(MEMORY)?;
    let line = b"A text of which there is much, so that no cache of a processor holds it.\n";
    let text: Vec<u8> = line.iter().copied().cycle().take(1 << 20).collect();
    for _ in 0..mib {
        file.write_all(&text)?;
    }
    // The last byte of the memory is for the NUL behind the text.
    let length = fs::metadata(file.path())?.len();
    file.as_file().set_len(length.saturating_sub(1))?;
    Ok(file)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
