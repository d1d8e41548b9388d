//! What one start of a tool costs: instructions, system calls, time, size.

use std::fs;

use anyhow::{Context, Result};

use crate::commands::bench::measurement::{Comparison, Group, Row, Spread, Target, Unit};
use crate::commands::bench::peers::{self, Peer};
use crate::commands::bench::workplace::Workplace;
use crate::engine::dist::TOOLS;
use crate::process::invocation::Invocation;

/// How often a program is started for one time: one start is too short for a clock.
const STARTS: usize = 200;

const MOST_SYSTEM_CALLS: f64 = 40.0;
/// Of the floor's time.
const MOST_TIME: f64 = 1.10;

/// What a tool may cost, by the C library that is linked into it.
struct Limits {
    instructions: f64,
    bytes: f64,
}

const GLIBC: Limits = Limits { instructions: 110_000.0, bytes: 1.8 * 1024.0 * 1024.0 };
const MUSL: Limits = Limits { instructions: 70_000.0, bytes: 1024.0 * 1024.0 };

/// A tool, what it is given, and programs that do the same.
struct Subject {
    tool: &'static str,
    arguments: &'static str,
    /// Whether there must be a text before it is started.
    reads: bool,
    floor: Peer,
    iostream: Peer,
}

const SUBJECTS: [Subject; 2] = [
    Subject {
        tool: "shm_wr",
        arguments: " hello_world",
        reads: false,
        floor: peers::FLOOR_WR,
        iostream: peers::IOSTREAM_WR,
    },
    Subject {
        tool: "shm_rd",
        arguments: "",
        reads: true,
        floor: peers::FLOOR_RD,
        iostream: peers::IOSTREAM_RD,
    },
];

pub(super) fn rows(place: &Workplace<'_>) -> Result<Vec<Row>> {
    let limits = if place.dist().is_musl(place.interrupt)? { MUSL } else { GLIBC };
    let mut rows = Vec::new();
    for subject in &SUBJECTS {
        rows.extend(subject.rows(place, &limits)?);
    }
    for tool in TOOLS {
        let path = place.tool(tool);
        let bytes = fs::metadata(&path).with_context(|| path.clone())?.len();
        #[expect(clippy::cast_precision_loss, reason = "a program's size is far below 2^52")]
        let bytes = bytes as f64;
        let command = Invocation::new("stat", ["--format", "%s", &path]);
        rows.push(Row::Compared(Box::new(Comparison {
            group: Group::Process,
            name: format!("{tool}: size"),
            unit: Unit::Bytes,
            ours: place.measurement(tool, bytes, &command),
            peer: None,
            ratio: None,
            target: Some(Target::Ours(limits.bytes)),
        })));
    }
    Ok(rows)
}

impl Subject {
    /// The targets stand in the rows with the floor, which is there wherever a C compiler is.
    fn rows(&self, place: &Workplace<'_>, limits: &Limits) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (peer, has_targets) in [(self.iostream, false), (self.floor, true)] {
            let row = |what: &str, program, measure: &dyn Fn(String) -> Result<Comparison>| {
                let needs = ["unshare", program, "gcc", peer.compiler];
                place.row((Group::Process, format!("{}: {what}", self.tool)), &needs, measure)
            };
            let target = |target: Target| Some(target).filter(|_| has_targets);
            let most = target(Target::Ours(limits.instructions));
            rows.push(row("instructions", "valgrind", &|name| {
                self.counted(place, name, CALLGRIND, peer, most)
            })?);
            let most = target(Target::Ours(MOST_SYSTEM_CALLS));
            rows.push(row("system calls", "strace", &|name| {
                self.counted(place, name, STRACE, peer, most)
            })?);
            let most = target(Target::Ratio(MOST_TIME));
            rows.push(row("a start", "gcc", &|name| self.timed(place, name, peer, most))?);
        }
        Ok(rows)
    }

    /// The shell line that starts a program as this tool is started.
    fn line(&self, place: &Workplace<'_>, before: &str, program: &str) -> Invocation {
        let arguments = self.arguments;
        let first = if self.reads {
            format!("{} hello_world >/dev/null && ", place.tool("shm_wr"))
        } else {
            String::new()
        };
        Workplace::private(&format!("{first}exec {before} {program}{arguments}"))
    }

    fn counted(
        &self,
        place: &Workplace<'_>,
        name: String,
        counter: Counter,
        peer: Peer,
        target: Option<Target>,
    ) -> Result<Comparison> {
        let (tool, program) = (place.tool(self.tool), place.build(peer)?);
        let count = |of: &str, program: &str| {
            let invocation = self.line(place, counter.command, program);
            let told = place.run(&invocation)?.stderr;
            let value = (counter.read)(&String::from_utf8_lossy(&told));
            let value = value.with_context(|| format!("`{}` counted nothing", counter.command))?;
            anyhow::Ok(place.measurement(of, value, &invocation))
        };
        let (ours, peer) = (count(self.tool, &tool)?, count(peer.title, &program)?);
        let ratio = Some(Spread::from(ours.value.median / peer.value.median));
        let (group, unit) = (Group::Process, counter.unit);
        Ok(Comparison { group, name, unit, ours, peer: Some(peer), ratio, target })
    }

    fn timed(
        &self,
        place: &Workplace<'_>,
        name: String,
        peer: Peer,
        target: Option<Target>,
    ) -> Result<Comparison> {
        let (tool, program) = (place.tool(self.tool), place.build(peer)?);
        let starts = format!("{} {STARTS} /dev/null /dev/null", place.build(peers::STARTS)?);
        let [ours, theirs] = [&tool, &program].map(|it| self.line(place, &starts, it));
        let pairs = place.pairs(&ours, &theirs)?;
        Ok(Comparison {
            group: Group::Process,
            name,
            unit: Unit::Seconds,
            ours: place.measurement(self.tool, pairs.ours, &ours),
            peer: Some(place.measurement(peer.title, pairs.peer, &theirs)),
            ratio: Some(pairs.ratio),
            target,
        })
    }
}

/// A program that runs another one and tells on standard error what it counted.
#[derive(Clone, Copy)]
struct Counter {
    unit: Unit,
    command: &'static str,
    read: fn(&str) -> Option<f64>,
}

const CALLGRIND: Counter = Counter {
    unit: Unit::Instructions,
    command: "valgrind --tool=callgrind --callgrind-out-file=/dev/null",
    read: |told| {
        told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
    },
};

const STRACE: Counter = Counter {
    unit: Unit::SystemCalls,
    command: "strace -qq",
    read: |told| {
        let calls = told.lines().filter(|line| line.contains('(')).count();
        u32::try_from(calls).ok().filter(|calls| *calls > 0).map(f64::from)
    },
};
