//! The list of the semaphore sets of this namespace, and the table of `ipcs -s`.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::{hexadecimal, octal, read_proc};

const PROC: &str = "/proc/sysvipc/sem";

/// A set of semaphores: a line of `/proc/sysvipc/sem`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStat {
    /// The key, as `key_t`; 0 for a private set.
    #[serde(with = "hexadecimal")]
    pub key: i32,
    /// The semid.
    pub semid: i32,
    /// The nine permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
    /// The number of semaphores.
    pub nsems: u64,
    /// The owner's user id, as this process's user namespace maps it.
    pub uid: u32,
    /// The owner's group id.
    pub gid: u32,
    /// The creator's user id.
    pub cuid: u32,
    /// The creator's group id.
    pub cgid: u32,
    /// The time of the last operation, in seconds since the epoch; 0 for never.
    pub otime: i64,
    /// The time of the creation or of the last change, in seconds since the epoch.
    pub ctime: i64,
}

/// Returns all sets of semaphores of the calling process's IPC namespace, including those that it
/// may not read.
///
/// # Errors
///
/// The errors of `/proc/sysvipc/sem`; `InvalidData` if it is not the kernel's.
pub fn list() -> io::Result<Vec<SetStat>> {
    read_proc(PROC, parse_proc_line)
}

/// Parses `/proc/sysvipc/sem`. Returns `None` if a line is invalid.
#[must_use]
pub fn parse_proc(text: &str) -> Option<Vec<SetStat>> {
    super::parse_lines(text, parse_proc_line)
}

fn parse_proc_line(line: &str) -> Option<SetStat> {
    let mut columns = line.split_ascii_whitespace();
    let mut next = || columns.next();
    Some(SetStat {
        key: next()?.parse().ok()?,
        semid: next()?.parse().ok()?,
        mode: u32::from_str_radix(next()?, 8).ok()? & 0o777,
        nsems: next()?.parse().ok()?,
        uid: next()?.parse().ok()?,
        gid: next()?.parse().ok()?,
        cuid: next()?.parse().ok()?,
        cgid: next()?.parse().ok()?,
        otime: next()?.parse().ok()?,
        ctime: next()?.parse().ok()?,
    })
}

/// The table of `ipcs -s`, byte for byte as util-linux prints it: each set with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(pub Vec<(SetStat, String)>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n------ Semaphore Arrays --------")?;
        let [key, semid, owner, perms, nsems] = ["key", "semid", "owner", "perms", "nsems"];
        writeln!(f, "{key:<10} {semid:<10} {owner:<10} {perms:<10} {nsems:<10}")?;
        for (SetStat { key, semid, mode, nsems, .. }, owner) in &self.0 {
            writeln!(f, "0x{key:08x} {semid:<10} {owner:<10.10} {mode:<10o} {nsems:<10}")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Table, parse_proc};

    #[test]
    fn a_line_of_proc_becomes_a_row_of_ipcs() {
        let text = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n\
                    \x20 20231125      32769   640         13     0     0     0     0          0 1700000000\n";
        let sets = parse_proc(text).unwrap();
        assert_eq!((sets[0].nsems, sets[0].mode, sets[0].ctime), (13, 0o640, 1_700_000_000));
        assert_eq!(
            Table(vec![(sets[0].clone(), "root".to_owned())]).to_string(),
            "\n------ Semaphore Arrays --------\n\
             key        semid      owner      perms      nsems     \n\
             0x0134b3d5 32769      root       640        13        \n\n"
        );
        for text in ["", "1 2 3\n", "key semid\n1 2 3\n"] {
            assert_eq!(parse_proc(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).*") {
            let _ = parse_proc(&text);
        }
    }
}
