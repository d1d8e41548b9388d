//! Fuzz targets: each function takes any bytes and panics if the tested code violates a property.
//!
//! The programs in `fuzz_targets/` run them under libFuzzer. `xtask/tests/fuzzed.rs` runs them for a
//! bounded time under `cargo test`, which needs no nightly compiler.
#![allow(dead_code, reason = "each program uses one function")]

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Parser;
use shm_cli::memory_limit::visible_folders;
use shm_cli::mounts;
use shm_cli::process::{IdMap, Mapping, parse_filtered, parse_label};
use shm_cli::text::{Escaped, Spaced, spaced};
use shm_core::posix::{DIRECTORY, Location, Name};
use shm_core::table::{Row, Table, parse_proc, queues, semaphores};
use shm_core::text::escape;
use shm_core::{Key, Stat};
use xtask::process::ledger;

/// `/proc/sysvipc/{shm,sem,msg}` and the output of `ipcs -m`: a parsed table stays the same when printed and parsed again.
pub(crate) fn table(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(stats) = parse_proc(&text) {
        let rows: Vec<Row> = stats.iter().map(|stat| Row::new(stat, None)).collect();
        for (stat, row) in stats.iter().zip(&rows) {
            assert!(stat.mode <= 0o777);
            let Stat { key, shmid, size, nattch, .. } = stat;
            assert_eq!(
                (row.key, row.shmid, row.bytes, row.nattch),
                (*key, shmid.0, *size, *nattch)
            );
        }
        assert_round_trip(&Table(rows));
        assert!(serde_json::to_string(&stats).is_ok());
    }
    if let Some(table) = Table::parse(&text) {
        assert_round_trip(&table);
    }
    if let Some(sets) = semaphores::parse_proc(&text) {
        assert!(sets.iter().all(|set| set.mode <= 0o777));
        assert!(serde_json::to_string(&sets).is_ok());
    }
    if let Some(queues) = queues::parse_proc(&text) {
        assert!(queues.iter().all(|queue| queue.mode <= 0o777));
        assert!(serde_json::to_string(&queues).is_ok());
    }
}

fn assert_round_trip(table: &Table) {
    assert_eq!(Table::parse(&table.to_string()).as_ref(), Some(table));
}

/// Keys: a parsed key stays the same when printed and parsed again, and is never `IPC_PRIVATE`.
pub(crate) fn key(data: &[u8]) {
    if let Ok(key) = String::from_utf8_lossy(data).parse::<Key>() {
        assert_ne!(key.raw(), 0);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.raw().to_string().parse(), Ok(key));
    }
}

/// Names of POSIX objects: no name leads out of `/dev/shm`.
pub(crate) fn name(data: &[u8]) {
    if let Ok(name) = String::from_utf8_lossy(data).parse::<Name>() {
        let path = Location::Posix(name).path();
        assert_eq!(path.parent(), Some(Path::new(DIRECTORY)));
        assert!(path.file_name().is_some_and(|it| it.len() < 255 && !it.as_bytes().contains(&0)));
    }
}

/// Command lines of the tools, one word a line: sizes, modes, keys, seconds.
pub(crate) fn arguments(data: &[u8]) {
    let words = || {
        [OsStr::new("tool")].into_iter().chain(data.split(|it| *it == b'\n').map(OsStr::from_bytes))
    };
    if let Ok(args) = shm_wr::args::Args::try_parse_from(words()) {
        assert!(args.mode.is_none_or(|mode| mode <= 0o777));
        assert!(!(args.stdin && args.text.is_some()));
        assert!(serde_json::to_string(&args.address.target()).is_ok());
    }
    if let Ok(args) = shm_rd::args::Args::try_parse_from(words()) {
        assert!(args.wait.is_none_or(|seconds| seconds >= 0.0));
        assert!(!(args.raw && args.json));
        assert!(serde_json::to_string(&args.address.target()).is_ok());
    }
    if let Ok(args) = shm_ls::args::Args::try_parse_from(words()) {
        assert!(!(args.limits && args.watch));
        assert!(args.interval.is_none_or(|it| (1..=3_600_000).contains(&it.as_millis())));
    }
}

/// `/proc/PID/cgroup`, an empty line, `/proc/PID/mountinfo`: each mount is found at its mount point, and the memory
/// cgroup lies below a mount.
pub(crate) fn mounts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (cgroup, mountinfo) = text.split_once("\n\n").unwrap_or(("", &text));
    let mounts = mounts::parse(mountinfo);
    assert!(serde_json::to_string(&mounts).is_ok());
    for mount in &mounts {
        let found = mounts::covering(&mounts, Path::new(&mount.mount_point)).unwrap();
        assert_eq!(Path::new(&found.mount_point), Path::new(&mount.mount_point));
    }
    for folder in visible_folders(cgroup, &mounts) {
        assert!(mounts.iter().any(|mount| folder.starts_with(&mount.mount_point)));
    }
}

/// `/proc/self/{status,uid_map,attr/current}`: a parsed map stays the same when printed and parsed again, and maps
/// what it prints. Labels have no surrounding space.
pub(crate) fn process(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(map) = IdMap::parse(&text, 65_534).filter(|map| map.to_string() != "empty") {
        let printed = map.to_string();
        assert_eq!(IdMap::parse(&printed.replace(", ", "\n"), 65_534).as_ref(), Some(&map));
        let first: Vec<u32> =
            printed.split([' ', ',']).take(3).map(|number| number.parse().unwrap()).collect();
        assert!(first[2] == 0 || map.mapping(first[0]) != Mapping::Unmapped, "{printed}");
    }
    if let Some(label) = parse_label(&text) {
        assert!(!label.is_empty() && label.trim() == label);
    }
    let _ = parse_filtered(&text);
}

/// Text for a terminal: it has no control sequences, and is the same if it is written in pieces.
pub(crate) fn text(data: &[u8]) {
    let (length, bytes) = data.split_first().map_or((1, data), |(first, rest)| (*first, rest));
    let whole = escape(bytes);
    assert!(!whole.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')));
    let (mut escaped, mut with_spaces, mut safe) = (Vec::new(), Vec::new(), Vec::new());
    let mut writer = Escaped::new(&mut escaped);
    for part in bytes.chunks(usize::from(length).max(1)) {
        writer.write_all(part).unwrap();
        Spaced::new(&mut with_spaces, false).write_all(part).unwrap();
        Spaced::new(&mut safe, true).write_all(part).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(escaped, whole.into_bytes());
    assert_eq!(with_spaces, spaced(bytes));
    let is_not_printed = |byte: &u8| !byte.is_ascii_graphic() && !b" \n\t".contains(byte);
    assert!(!safe.iter().any(is_not_printed));
}

/// Ledgers: parsed entries stay the same when written and parsed again. An incomplete last line is ignored.
pub(crate) fn ledger(data: &[u8]) {
    if let Ok(entries) = ledger::parse(data) {
        let mut written = b"{\"version\":1,\"pid\":1}\n".to_vec();
        for entry in &entries {
            serde_json::to_writer(&mut written, entry).unwrap();
            written.push(b'\n');
        }
        assert_eq!(ledger::parse(&written).as_ref(), Ok(&entries));
        written.extend(b"{\"folder");
        assert_eq!(ledger::parse(&written), Ok(entries));
    }
}
