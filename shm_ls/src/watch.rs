//! The changes of the listing.
//!
//! Containers that must only stay alive run this too: it uses almost no processor time, ends at
//! once on SIGTERM (which the kernel ignores for a process with id 1 that has no handler), and its
//! log shows the changes in the namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use serde::Serialize;
use shm_cli::ToolError;
use shm_cli::outcome::print_json;
use shm_core::stat::SegmentId;
use shm_core::stop::StopSignals;
use shm_core::{IpcNamespace, Stat, table};

use crate::args::Args;

/// One line of the log: the change of a segment between two polls.
#[derive(Serialize)]
struct Line {
    event: &'static str,
    segment: Stat,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stat { key, shmid, uid, mode, size, nattch, cpid, lpid, .. } = &self.segment;
        let event = self.event;
        write!(
            f,
            "{event} key=0x{key:08x} shmid={shmid} uid={uid} mode={mode:04o} bytes={size} \
             nattch={nattch} cpid={cpid} lpid={lpid}"
        )?;
        f.write_str(if self.segment.dest { " dest" } else { "" })?;
        f.write_str(if self.segment.locked { " locked" } else { "" })
    }
}

#[derive(Serialize)]
struct Started {
    event: &'static str,
    ipc_namespace: Option<IpcNamespace>,
    interval_ms: u128,
}

/// Prints a line for each change between two polls until SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
///
/// Fails if the kernel does not return the listing or the output fails.
pub fn run(args: &Args, stdout: &mut impl Write) -> Result<(), ToolError> {
    let signals = StopSignals::hold();
    let ipc_namespace = IpcNamespace::current().ok();
    let interval_ms = args.interval.as_millis();
    if args.json {
        print_json(&Started { event: "watching", ipc_namespace, interval_ms }, stdout)?;
    } else {
        let namespace = ipc_namespace
            .map_or_else(|| "this IPC namespace".to_owned(), |namespace| namespace.to_string());
        writeln!(
            stdout,
            "watching {namespace} every {interval_ms} ms; segments that live shorter can be missed"
        )?;
    }
    stdout.flush()?;

    let mut before = BTreeMap::new();
    loop {
        let wanted = |stat: &Stat| args.id.is_none_or(|id| stat.shmid == id);
        let stats = table::list()?.into_iter().filter(wanted);
        let now = stats.map(|stat| (stat.shmid, stat)).collect();
        for line in changes(&before, &now) {
            if args.json {
                print_json(&line, stdout)?;
            } else {
                writeln!(stdout, "{line}")?;
            }
        }
        stdout.flush()?;
        before = now;
        if signals.wait(args.interval) {
            return Ok(());
        }
    }
}

fn changes(before: &BTreeMap<SegmentId, Stat>, now: &BTreeMap<SegmentId, Stat>) -> Vec<Line> {
    let gone = before
        .values()
        .filter(|stat| !now.contains_key(&stat.shmid))
        .map(|stat| Line { event: "gone", segment: stat.clone() });
    let others = now.values().filter_map(|stat| {
        let event = match before.get(&stat.shmid) {
            None => "appeared",
            Some(old) if old != stat => "changed",
            Some(_) => return None,
        };
        Some(Line { event, segment: stat.clone() })
    });
    gone.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use shm_core::Stat;
    use shm_core::table::parse_proc;

    use super::changes;

    fn segments(lines: &[&str]) -> BTreeMap<shm_core::stat::SegmentId, Stat> {
        let text = format!("key shmid\n{}\n", lines.join("\n"));
        parse_proc(&text).unwrap().into_iter().map(|stat| (stat.shmid, stat)).collect()
    }

    #[test]
    fn each_segment_that_appears_changes_or_goes_has_one_line() {
        let before = segments(&[
            "1 0 666 1024 1 1 0 0 0 0 0 0 0 1",
            "2 1 666 1024 1 1 0 0 0 0 0 0 0 1",
            "3 2 666 1024 1 1 0 0 0 0 0 0 0 1",
        ]);
        let after = segments(&[
            "1 0 666 1024 1 1 0 0 0 0 0 0 0 1",
            "2 1 666 1024 1 9 1 0 0 0 0 5 0 1",
            "4 3 600 4096 2 2 0 0 0 0 0 0 0 1",
        ]);
        let events: Vec<_> =
            changes(&before, &after).iter().map(|line| (line.event, line.segment.key)).collect();
        assert_eq!(events, [("gone", 3), ("changed", 2), ("appeared", 4)]);
    }
}
