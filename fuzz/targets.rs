//! What is fuzzed: each function takes any bytes and panics where the code under it breaks a promise.
//!
//! The programs in `fuzz_targets/` run them under libFuzzer, `xtask/tests/fuzzed.rs` for a bounded
//! time under `cargo test`, which needs no nightly compiler.
#![allow(dead_code, reason = "each program needs another one")]

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Parser;
use shm_cli::text::{Escaped, Spaced, spaced};
use shm_core::posix::{DIRECTORY, Location, Name};
use shm_core::table::{Row, Table, parse_proc};
use shm_core::text::escape;
use shm_core::{Key, Stat};
use xtask::process::ledger;

/// `/proc/sysvipc/shm` and what `ipcs -m` prints: what was understood is printed and read as the same.
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
        is_read_back(&Table(rows));
        assert!(serde_json::to_string(&stats).is_ok());
    }
    if let Some(table) = Table::parse(&text) {
        is_read_back(&table);
    }
}

fn is_read_back(table: &Table) {
    assert_eq!(Table::parse(&table.to_string()).as_ref(), Some(table));
}

/// Keys: what was understood is printed and read as the same, and is never `IPC_PRIVATE`.
pub(crate) fn key(data: &[u8]) {
    if let Ok(key) = String::from_utf8_lossy(data).parse::<Key>() {
        assert_ne!(key.raw(), 0);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.raw().to_string().parse(), Ok(key));
    }
}

/// Names of POSIX objects: none leads out of `/dev/shm`.
pub(crate) fn name(data: &[u8]) {
    if let Ok(name) = String::from_utf8_lossy(data).parse::<Name>() {
        let path = Location::Posix(name).path();
        assert_eq!(path.parent(), Some(Path::new(DIRECTORY)));
        assert!(path.file_name().is_some_and(|it| it.len() < 255 && !it.as_bytes().contains(&0)));
    }
}

/// The tools' command lines, words that end with newlines: sizes, modes, keys, seconds.
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
    }
}

/// What is shown on a terminal: nothing drives it, and in pieces it is the same as in one.
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
    let drives = |byte: &u8| !byte.is_ascii_graphic() && !b" \n\t".contains(byte);
    assert!(!safe.iter().any(drives));
}

/// A ledger: parsed entries are the same after they are written and parsed again. A line that is cut off is ignored.
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
