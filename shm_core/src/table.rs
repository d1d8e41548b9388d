//! The list of the segments of this namespace, and the table of `ipcs -m`. The modules have those of
//! the semaphore sets and of the message queues.

use std::fmt;
use std::fs;
use std::io;

pub mod queues;
pub mod semaphores;

use crate::stat::{SegmentId, hexadecimal, octal};
use crate::sys;
use crate::{Errno, Error, Result, Stat, Usage};

const PROC: &str = "/proc/sysvipc/shm";

/// Returns all segments of the calling process's IPC namespace, including those that it may not
/// read.
///
/// Reads `/proc/sysvipc/shm`. If it is missing or cannot be parsed (no `/proc`, gVisor), asks for
/// each index with `shmctl(SHM_STAT_ANY)`.
///
/// # Errors
///
/// [`Error::Info`]: `ENOSYS` on a kernel without System V IPC.
pub fn list() -> Result<Vec<Stat>> {
    match fs::read_to_string(PROC).ok().and_then(|text| parse_proc(&text)) {
        Some(stats) => Ok(stats),
        None => walk(),
    }
}

/// Returns how many bytes of a segment are in memory. `None` if there is no such segment, or if the
/// kernel does not say.
#[must_use]
pub fn resident_bytes(id: SegmentId) -> Option<u64> {
    let text = fs::read_to_string(PROC).ok()?;
    let mut lines = text.lines().map(|line| line.split_ascii_whitespace());
    let column = lines.next()?.position(|name| name == "rss")?;
    let mut line = lines.find(|line| line.clone().nth(1) == Some(&id.0.to_string()))?;
    line.nth(column)?.parse().ok()
}

/// Returns the list, only with `shmctl(2)`.
fn walk() -> Result<Vec<Stat>> {
    let usage = Usage::current()?;
    let mut stats = Vec::new();
    for index in 0..=usage.last_index() {
        match sys::shm_stat_index(index) {
            // The low bits of a shmid are its index, so Linux returns 0 only for index 0. In gVisor
            // the index is the shmid, and the call returns 0.
            Ok((0, ds)) => stats.push(Stat::from_kernel(index, &ds)),
            Ok((shmid, ds)) => stats.push(Stat::from_kernel(shmid, &ds)),
            // No segment has this index, or it was removed.
            Err(Errno::EINVAL | Errno::EIDRM) => {}
            Err(errno) => return Err(Error::Info { command: "SHM_STAT", errno }),
        }
    }
    Ok(stats)
}

/// Parses `/proc/sysvipc/shm`: a heading, then one line for each segment. Returns `None` if a line
/// is invalid.
#[must_use]
pub fn parse_proc(text: &str) -> Option<Vec<Stat>> {
    parse_lines(text, parse_proc_line)
}

fn parse_lines<T>(text: &str, parse: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let mut lines = text.lines();
    // A file without the heading is not the kernel's: something else is mounted there.
    lines.next().filter(|heading| heading.trim_start().starts_with("key"))?;
    lines.map(parse).collect()
}

fn read_proc<T>(path: &str, parse: fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let reason = || io::Error::new(io::ErrorKind::InvalidData, "not the kernel's table");
    parse_lines(&fs::read_to_string(path)?, parse).ok_or_else(reason)
}

fn parse_proc_line(line: &str) -> Option<Stat> {
    let mut columns = line.split_ascii_whitespace();
    let mut next = || columns.next();
    let key = next()?.parse().ok()?;
    let shmid = SegmentId(next()?.parse().ok()?);
    let mode = u32::from_str_radix(next()?, 8).ok()?;
    let mut stat = Stat {
        key,
        shmid,
        size: next()?.parse().ok()?,
        cpid: next()?.parse().ok()?,
        lpid: next()?.parse().ok()?,
        nattch: next()?.parse().ok()?,
        uid: next()?.parse().ok()?,
        gid: next()?.parse().ok()?,
        cuid: next()?.parse().ok()?,
        cgid: next()?.parse().ok()?,
        atime: next()?.parse().ok()?,
        dtime: next()?.parse().ok()?,
        ctime: next()?.parse().ok()?,
        mode: 0,
        dest: false,
        locked: false,
    };
    stat.set_mode(mode);
    Some(stat)
}

/// A row of the table of `ipcs -m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key, as `key_t`.
    pub key: i32,
    /// The shmid.
    pub shmid: i32,
    /// The owner's name, or the user id if it has no name.
    pub owner: String,
    /// The nine permission bits.
    pub perms: u32,
    /// The size in bytes.
    pub bytes: u64,
    /// The number of attachments.
    pub nattch: u64,
    /// Whether it is marked for destruction at its last detach.
    pub dest: bool,
    /// Whether it is locked: its pages are not swapped out.
    pub locked: bool,
}

impl Row {
    /// Makes the row of a segment, with its owner's name or user id.
    #[must_use]
    pub fn new(stat: &Stat, owner: Option<&str>) -> Self {
        Self {
            key: stat.key,
            shmid: stat.shmid.0,
            // ipcs truncates names to the width of the column.
            owner: owner
                .map_or_else(|| stat.uid.to_string(), |name| name.chars().take(10).collect()),
            perms: stat.mode,
            bytes: stat.size,
            nattch: stat.nattch,
            dest: stat.dest,
            locked: stat.locked,
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split_ascii_whitespace();
        let key = columns.next()?.strip_prefix("0x")?;
        let row = Self {
            key: u32::from_str_radix(key, 16).ok()?.cast_signed(),
            shmid: columns.next()?.parse().ok()?,
            owner: columns.next()?.to_owned(),
            perms: u32::from_str_radix(columns.next()?, 8).ok()?,
            bytes: columns.next()?.parse().ok()?,
            nattch: columns.next()?.parse().ok()?,
            dest: false,
            locked: false,
        };
        columns.try_fold(row, |row, status| match status {
            "dest" => Some(Self { dest: true, ..row }),
            "locked" => Some(Self { locked: true, ..row }),
            _ => None,
        })
    }
}

/// The table of `ipcs -m`, byte for byte as util-linux prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(pub Vec<Row>);

const TITLE: &str = "------ Shared Memory Segments --------";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{TITLE}")?;
        let [key, shmid, owner] = ["key", "shmid", "owner"];
        let [perms, bytes, nattch, status] = ["perms", "bytes", "nattch", "status"];
        writeln!(
            f,
            "{key:<10} {shmid:<10} {owner:<10} {perms:<10} {bytes:<10} {nattch:<10} {status:<12}"
        )?;
        for row in &self.0 {
            let dest = if row.dest { "dest" } else { " " };
            let locked = if row.locked { "locked" } else { " " };
            writeln!(
                f,
                "0x{:08x} {:<10} {:<10} {:<10o} {:<10} {:<10} {dest:<6} {locked:<6}",
                row.key, row.shmid, row.owner, row.perms, row.bytes, row.nattch,
            )?;
        }
        writeln!(f)
    }
}

impl Table {
    /// Parses the output of `ipcs -m` or `shm_ls`, with any spacing. Returns `None` for other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let titled = lines.next()?.trim() == TITLE;
        let headed = lines.next()?.split_ascii_whitespace().next() == Some("key");
        let rows = lines.map(Row::parse).collect::<Option<_>>()?;
        (titled && headed).then_some(Self(rows))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Row, Table, list, parse_proc, resident_bytes, walk};
    use crate::segment::RemoveOnDrop;
    use crate::{Key, Segment};

    #[test]
    fn a_line_of_proc_becomes_a_row_of_ipcs() {
        let text = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n  20231125      32769  3666                  1024    11    12      1     0     0     0     0 1700000000          0 1700000000                  4096                     0\n";
        let stats = parse_proc(text).unwrap();
        let table = Table(stats.iter().map(|stat| Row::new(stat, Some("root"))).collect());
        assert_eq!(
            table.to_string(),
            "\n------ Shared Memory Segments --------\n\
             key        shmid      owner      perms      bytes      nattch     status      \n\
             0x0134b3d5 32769      root       666        1024       1          dest   locked\n\n"
        );
        assert_eq!(Table::parse(&table.to_string()), Some(table));
    }

    #[test]
    fn other_text_is_not_parsed_as_an_empty_table() {
        for text in ["", "ipcs: not found", "------ Shared Memory Segments --------\n", "a\nkey\n"]
        {
            assert_eq!(Table::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn both_lists_contain_a_segment() {
        let key = Key::new(0x7a00_0000 | std::process::id().cast_signed()).unwrap();
        let guard = RemoveOnDrop(Segment::create_new(key, 100, 0o640).unwrap());
        for stats in [list().unwrap(), walk().unwrap()] {
            let stat = stats.iter().find(|stat| stat.shmid == guard.0.id()).unwrap();
            assert_eq!((stat.key, stat.size, stat.mode), (key.raw(), 100, 0o640));
        }
    }

    #[test]
    fn only_pages_that_were_written_are_resident() {
        let key = Key::new(0x7b00_0000 | std::process::id().cast_signed()).unwrap();
        let guard = RemoveOnDrop(Segment::create_new(key, 1 << 20, 0o600).unwrap());
        assert_eq!(resident_bytes(guard.0.id()), Some(0));
        guard.0.attach_writable().unwrap().write_at(0, b"x").unwrap();
        // A huge page counts whole.
        assert!((1..=2 << 20).contains(&resident_bytes(guard.0.id()).unwrap()));
        assert_eq!(resident_bytes(crate::stat::SegmentId(-1)), None);
    }

    proptest! {
        #[test]
        fn a_printed_table_can_be_parsed(
            rows in prop::collection::vec(
                (any::<i32>(), 0..i32::MAX, "[a-z][a-z0-9_-]{0,9}", 0_u32..0o1000, any::<u64>(),
                 any::<u64>(), any::<bool>(), any::<bool>()),
                0..8)
        ) {
            let table = Table(rows.into_iter().map(
                |(key, shmid, owner, perms, bytes, nattch, dest, locked)|
                Row { key, shmid, owner, perms, bytes, nattch, dest, locked }).collect());
            prop_assert_eq!(Table::parse(&table.to_string()), Some(table));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "(?s).*") {
            let _ = Table::parse(&text);
            let _ = parse_proc(&text);
        }
    }
}
