//! Owners and modes of System V objects, as `/proc/sysvipc` shows them to every user.

use std::fs;

use shm_core::stat::SegmentId;
use shm_core::{Key, Stat, table};

use crate::access::Permissions;

/// What a look for an object has found.
pub(super) enum Found {
    /// The object, with a name for messages.
    Object(String, Permissions),
    /// There is no such object; the words say so.
    Absent(String),
    /// The table cannot be read.
    Hidden(String),
}

impl Found {
    pub(super) fn segment_of_key(key: Option<Key>) -> Self {
        match key {
            None => Self::Absent("the segment does not exist yet".to_owned()),
            Some(key) => {
                let absent = format!("no segment has key {key}");
                Self::segment(|stat| stat.key == key.raw() && !stat.dest, absent)
            }
        }
    }

    pub(super) fn segment_of_id(id: SegmentId) -> Self {
        Self::segment(|stat| stat.shmid == id, format!("there is no segment {id}"))
    }

    fn segment(is_wanted: impl Fn(&Stat) -> bool, absent: String) -> Self {
        let Ok(stats) = table::list() else {
            return Self::Hidden("the list of the segments cannot be read".to_owned());
        };
        stats.iter().find(|stat| is_wanted(stat)).map_or(Self::Absent(absent), |stat| {
            let name = format!("segment {} of {} bytes", stat.shmid, stat.size);
            Self::Object(name, stat.into())
        })
    }

    /// Looks for an object in `/proc/sysvipc/sem` or `/proc/sysvipc/msg`. `name` names the object.
    pub(super) fn object(table: &str, name: &str, key: Key) -> Self {
        let path = format!("/proc/sysvipc/{table}");
        match fs::read_to_string(&path).ok().as_deref().map(|text| parse(text, key)) {
            Some(Some(permissions)) => Self::Object(format!("the {name}"), permissions),
            Some(None) => Self::Absent(format!("there is no {name}")),
            None => Self::Hidden(format!("{path} cannot be read")),
        }
    }
}

/// Returns the owner and the mode of the object with a key from the text of a table, whose heading
/// names the columns.
fn parse(text: &str, key: Key) -> Option<Permissions> {
    let mut lines = text.lines();
    let heading: Vec<_> = lines.next()?.split_ascii_whitespace().collect();
    let row: Vec<_> = lines
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .find(|row| row.first().and_then(|first| first.parse().ok()) == Some(key.raw()))?;
    let column = |name| heading.iter().position(|it| *it == name).and_then(|at| row.get(at));
    let id = |name| column(name)?.parse().ok();
    Some(Permissions {
        uid: id("uid")?,
        gid: id("gid")?,
        cuid: id("cuid")?,
        cgid: id("cgid")?,
        mode: u32::from_str_radix(column("perms")?, 8).ok()? & 0o777,
    })
}

#[cfg(test)]
mod tests {
    use shm_core::Key;

    use super::{Permissions, parse};

    #[test]
    fn both_tables_are_read_by_the_names_of_their_columns() {
        let found = Some(Permissions { uid: 1, gid: 2, cuid: 3, cgid: 4, mode: 0o640 });
        let key = Key::new(20_231_125).unwrap();
        let sem = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n         7          0   666          1     9     9     9     9          0          0\n  20231125          1   640         13     1     2     3     4          0 1764000000\n";
        let msg = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n  20231125          0   640           2          1    11     0     1     2     3     4 1764000000          0 1764000000\n";
        assert_eq!((parse(sem, key), parse(msg, key)), (found, found));
        assert_eq!(parse(sem, Key::new(8).unwrap()), None);
    }
}
