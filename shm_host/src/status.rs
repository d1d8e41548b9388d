//! The identity and the rights of a process, from `/proc/PID/stat` and `status`.

use shm_cli::process::parse_filtered;

/// The facts of `/proc/PID/status` that decide access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The user id for access to System V objects: the effective one.
    pub uid: u32,
    /// The effective group id.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The effective capabilities, one bit for each.
    pub capabilities: u64,
    /// The process id in its own pid namespace.
    pub inner_pid: Option<u32>,
    /// Whether a seccomp filter is active; `None` if the kernel does not say.
    pub filtered: Option<bool>,
}

/// Parses `/proc/PID/status`, `proc_pid_status(5)`. Returns `None` if the ids are missing.
#[must_use]
pub fn parse_status(text: &str) -> Option<Status> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    // Real, effective, saved and file system id.
    let effective = |name| field(name)?.split_ascii_whitespace().nth(1)?.parse().ok();
    let groups = field("Groups").unwrap_or_default().split_ascii_whitespace();
    Some(Status {
        uid: effective("Uid")?,
        gid: effective("Gid")?,
        groups: groups.filter_map(|group| group.parse().ok()).collect(),
        capabilities: field("CapEff").and_then(|it| u64::from_str_radix(it, 16).ok())?,
        inner_pid: field("NSpid").and_then(|it| it.split_ascii_whitespace().last()?.parse().ok()),
        filtered: parse_filtered(text),
    })
}

/// The facts of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The name of the program, at most 15 bytes. The process can set it.
    pub name: String,
    /// The state, such as `S`; `Z` for a process that has exited.
    pub state: char,
    /// The time of its start, in clock ticks since the boot.
    pub ticks: u64,
    /// Whether it is a thread of the kernel.
    pub is_kernel: bool,
}

/// `PF_KTHREAD` of `linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Parses `/proc/PID/stat`, `proc_pid_stat(5)`. The name can have spaces, parentheses and newlines.
#[must_use]
pub fn parse_stat(text: &str) -> Option<Start> {
    let (head, fields) = text.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is field 3, the flags are field 9, the start is field 22.
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let ticks = fields.nth(12)?.parse().ok()?;
    Some(Start { name: name.to_owned(), state, ticks, is_kernel: flags & KERNEL_THREAD != 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Status, parse_stat, parse_status};

    #[test]
    fn the_rights_of_a_process_are_parsed() {
        let text = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nNSpid:\t900\t7\n\
                    CapEff:\t00000000a80425fb\nSeccomp:\t2\n";
        let status = Status {
            uid: 2,
            gid: 6,
            groups: vec![9, 10],
            capabilities: 0xa804_25fb,
            inner_pid: Some(7),
            filtered: Some(true),
        };
        assert_eq!(parse_status(text), Some(status));
        assert_eq!(parse_status("Name:\tx\n"), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let numbers = (4..22).map(|it| it.to_string()).collect::<Vec<_>>().join(" ");
        let text = format!("7 (a) S (b\n) Z {numbers} 4242 0 0\n");
        let start = parse_stat(&text).unwrap();
        assert_eq!((&*start.name, start.state), ("a) S (b\n", 'Z'));
        assert_eq!((start.ticks, start.is_kernel), (4242, false));
        assert_eq!(parse_stat("7 (a"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "(?s).*") {
            let _ = (parse_status(&text), parse_stat(&text));
        }
    }
}
