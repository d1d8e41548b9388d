//! The segments of this namespace as a list, and the table that `ipcs -m` prints of them.

use std::fmt;
use std::fs;

use crate::stat::SegmentId;
use crate::sys;
use crate::{Errno, Error, Result, Stat, Usage};

const PROC: &str = "/proc/sysvipc/shm";

/// Every segment of the calling process's IPC namespace, those too that it may not read.
///
/// Read from `/proc/sysvipc/shm`; where that is missing or not understood (no `/proc`, gVisor), by
/// a walk with `shmctl(SHM_STAT_ANY)`.
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

/// The list by `shmctl(2)` alone.
fn walk() -> Result<Vec<Stat>> {
    let usage = Usage::current()?;
    let mut stats = Vec::new();
    for index in 0..=usage.last_index() {
        match sys::shm_stat_index(index) {
            // The low bits of a shmid are its index, so 0 cannot be that of another: gVisor takes
            // the shmid itself for the index, and answers 0.
            Ok((0, ds)) => stats.push(Stat::from_kernel(index, &ds)),
            Ok((shmid, ds)) => stats.push(Stat::from_kernel(shmid, &ds)),
            // Nothing at that index, or nothing any more.
            Err(Errno::EINVAL | Errno::EIDRM) => {}
            Err(errno) => return Err(Error::Info { command: "SHM_STAT", errno }),
        }
    }
    Ok(stats)
}

/// Reads the text of `/proc/sysvipc/shm`: a heading, then a line a segment. `None` where a line is
/// not understood.
#[must_use]
pub fn parse_proc(text: &str) -> Option<Vec<Stat>> {
    let mut lines = text.lines();
    // An empty file is no list without segments: something else was put in its place.
    lines.next().filter(|heading| heading.trim_start().starts_with("key"))?;
    lines.map(parse_proc_line).collect()
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

/// A line of the table of `ipcs -m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key, as `key_t`.
    pub key: i32,
    /// The shmid.
    pub shmid: i32,
    /// The owner's name, or user id where it has none.
    pub owner: String,
    /// The nine permission bits.
    pub perms: u32,
    /// The size in bytes.
    pub bytes: u64,
    /// How many times it is attached.
    pub nattch: u64,
    /// Removed, and gone with its last detach.
    pub dest: bool,
    /// Its pages are not swapped out.
    pub locked: bool,
}

impl Row {
    /// The row for a segment, with its owner's name if it has one.
    #[must_use]
    pub fn new(stat: &Stat, owner: Option<&str>) -> Self {
        Self {
            key: stat.key,
            shmid: stat.shmid.0,
            // ipcs cuts names to its column.
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
    /// Reads what `ipcs -m` or `shm_ls` printed, in whatever spacing; `None` where that is not
    /// such a table.
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

    use super::{Row, Table, list, parse_proc, walk};
    use crate::segment::RemoveOnDrop;
    use crate::{Key, Segment};

    #[test]
    fn a_line_of_the_kernel_becomes_a_row_of_ipcs() {
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
    fn what_is_no_table_is_not_taken_for_an_empty_one() {
        for text in ["", "ipcs: not found", "------ Shared Memory Segments --------\n", "a\nkey\n"]
        {
            assert_eq!(Table::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn both_ways_to_list_find_a_segment() {
        let key = Key::new(0x7a00_0000 | std::process::id().cast_signed()).unwrap();
        let guard = RemoveOnDrop(Segment::create_new(key, 100, 0o640).unwrap());
        for stats in [list().unwrap(), walk().unwrap()] {
            let stat = stats.iter().find(|stat| stat.shmid == guard.0.id()).unwrap();
            assert_eq!((stat.key, stat.size, stat.mode), (key.raw(), 100, 0o640));
        }
    }

    proptest! {
        #[test]
        fn a_printed_table_reads_back(
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
