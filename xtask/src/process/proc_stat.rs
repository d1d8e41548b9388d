//! Reads `/proc/PID/stat`, see `proc_pid_stat(5)`.

use std::fs;

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcStat {
    /// The id of its parent; 0 if the parent is outside of this pid namespace.
    pub(crate) parent: u32,
    /// The id of its process group; 0 if the group is outside of this pid namespace.
    pub(crate) group: u32,
    /// Its start time in clock ticks after boot.
    pub(crate) started: u64,
    /// Whether it runs; `false` for a zombie.
    pub(crate) runs: bool,
}

impl ProcStat {
    /// Reads the state of a process. Returns `None` if the process is gone or hidden.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may contain any character.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let runs = !matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Self { parent, group, started: fields.nth(16)?.parse().ok()?, runs })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::parent_id;

    use super::ProcStat;

    #[test]
    fn this_process_has_a_parent_and_a_start() {
        let stat = ProcStat::of(std::process::id()).unwrap();
        assert_eq!(stat.parent, parent_id());
        assert!(stat.started >= ProcStat::of(1).map_or(0, |it| it.started));
    }
}
