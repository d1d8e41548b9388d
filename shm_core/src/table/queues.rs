//! The list of the System V message queues of this namespace, and the table of `ipcs -q`.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use super::{hexadecimal, octal, read_proc};

const PROC: &str = "/proc/sysvipc/msg";

/// A System V message queue: a line of `/proc/sysvipc/msg`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStat {
    /// The key, as `key_t`; 0 for a private queue.
    #[serde(with = "hexadecimal")]
    pub key: i32,
    /// The msqid.
    pub msqid: i32,
    /// The nine permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
    /// The bytes of all messages in it.
    pub used_bytes: u64,
    /// The number of messages in it.
    pub messages: u64,
    /// The process that sent last; 0 for none or for another pid namespace.
    pub lspid: u32,
    /// The process that received last; 0 for none or for another pid namespace.
    pub lrpid: u32,
    /// The owner's user id, as this process's user namespace maps it.
    pub uid: u32,
    /// The owner's group id.
    pub gid: u32,
    /// The creator's user id.
    pub cuid: u32,
    /// The creator's group id.
    pub cgid: u32,
    /// The time of the last send, in seconds since the epoch; 0 for never.
    pub stime: i64,
    /// The time of the last receive, in seconds since the epoch; 0 for never.
    pub rtime: i64,
    /// The time of the creation or of the last change, in seconds since the epoch.
    pub ctime: i64,
}

/// Returns all System V message queues of the calling process's IPC namespace, including those that
/// it may not read.
///
/// # Errors
///
/// The errors of `/proc/sysvipc/msg`; `InvalidData` if it is not the kernel's.
pub fn list() -> io::Result<Vec<QueueStat>> {
    read_proc(PROC, parse_proc_line)
}

/// Parses `/proc/sysvipc/msg`. Returns `None` if a line is invalid.
#[must_use]
pub fn parse_proc(text: &str) -> Option<Vec<QueueStat>> {
    super::parse_lines(text, parse_proc_line)
}

fn parse_proc_line(line: &str) -> Option<QueueStat> {
    let mut columns = line.split_ascii_whitespace();
    let mut next = || columns.next();
    Some(QueueStat {
        key: next()?.parse().ok()?,
        msqid: next()?.parse().ok()?,
        mode: u32::from_str_radix(next()?, 8).ok()? & 0o777,
        used_bytes: next()?.parse().ok()?,
        messages: next()?.parse().ok()?,
        lspid: next()?.parse().ok()?,
        lrpid: next()?.parse().ok()?,
        uid: next()?.parse().ok()?,
        gid: next()?.parse().ok()?,
        cuid: next()?.parse().ok()?,
        cgid: next()?.parse().ok()?,
        stime: next()?.parse().ok()?,
        rtime: next()?.parse().ok()?,
        ctime: next()?.parse().ok()?,
    })
}

/// The table of `ipcs -q`, byte for byte as util-linux prints it: each queue with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(pub Vec<(QueueStat, String)>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n------ Message Queues --------")?;
        let [key, msqid, owner] = ["key", "msqid", "owner"];
        let [perms, bytes, messages] = ["perms", "used-bytes", "messages"];
        writeln!(f, "{key:<10} {msqid:<10} {owner:<10} {perms:<10} {bytes:<12} {messages:<12}")?;
        for (QueueStat { key, msqid, mode, used_bytes, messages, .. }, owner) in &self.0 {
            writeln!(
                f,
                "0x{key:08x} {msqid:<10} {owner:<10.10} {mode:<10o} {used_bytes:<12} {messages:<12}"
            )?;
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
        let text = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n\
                    \x20 20231125          1   666           5          2    11    12     0     0     0     0 1700000000          0 1700000001\n";
        let queues = parse_proc(text).unwrap();
        assert_eq!((queues[0].lrpid, queues[0].ctime), (12, 1_700_000_001));
        assert_eq!(
            Table(vec![(queues[0].clone(), "a-long-name".to_owned())]).to_string(),
            "\n------ Message Queues --------\n\
             key        msqid      owner      perms      used-bytes   messages    \n\
             0x0134b3d5 1          a-long-nam 666        5            2           \n\n"
        );
        for text in ["", "1 2 3\n", "key msqid\n1 2 3\n"] {
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
