//! The causes of calls that failed at a limit of the IPC namespace or of memory.

use std::fs;

use shm_core::{Limits, Segment, Usage};

use super::Diagnosis;
use crate::change::{Change, words};
use crate::place::Place;

/// Returns the first number of a file in `/proc/sys`.
pub(super) fn parameter(name: &str) -> Option<u64> {
    parameters(name)?.first().copied()
}

/// Returns the numbers of a file in `/proc/sys`. The files of an IPC namespace show the limits of the
/// namespace of the process that reads them.
pub(super) fn parameters(name: &str) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    text.split_ascii_whitespace().map(|number| number.parse().ok()).collect()
}

/// Returns the way to set a kernel parameter of this IPC namespace. Engines refuse `--sysctl` with the
/// namespace of the host.
pub(super) fn raise(name: &str, value: &str) -> String {
    let Place { engine, host_ipc, .. } = Place::current();
    if host_ipc {
        return format!("on the host, whose IPC namespace this is: sysctl -w {name}={value}");
    }
    words(Change::Sysctl { name, value }, engine)
}

/// Returns the way to make room below a limit for objects of a mechanism.
pub(super) fn remove_or_raise(mechanism: &str, name: &str, value: &str) -> String {
    let remove = words(Change::Remove(mechanism), None);
    format!("remove some ({remove}), or raise it; {}", raise(name, value))
}

pub(super) fn wrong_size(
    existing: Option<Segment>,
    size: usize,
    create: bool,
) -> Option<Diagnosis> {
    if let Some(Ok(stat)) = existing.map(Segment::stat)
        && !create
        && stat.size < size as u64
    {
        return Some(Diagnosis::new(
            format!("the segment has {} bytes, fewer than the requested {size}", stat.size),
            format!("give --size {}, or remove the segment first (--remove)", stat.size),
        ));
    }
    if size == 0 {
        return Some(Diagnosis::new(
            "a new segment must have at least 1 byte",
            "give a larger --size",
        ));
    }
    if size as u64 > i64::MAX as u64 {
        return Some(Diagnosis::new(
            format!("{size} bytes exceed the largest size that the kernel supports"),
            "give a smaller --size",
        ));
    }
    let limits = Limits::current().ok()?;
    (size as u64 > limits.max_segment_bytes).then(|| {
        Diagnosis::new(
            format!(
                "{size} bytes exceed kernel.shmmax of this namespace, {} bytes",
                limits.max_segment_bytes
            ),
            format!("give a smaller --size, or raise it; {}", raise("kernel.shmmax", "BYTES")),
        )
    })
}

pub(super) fn limits_met(size: usize) -> Diagnosis {
    let (Ok(limits), Ok(usage)) = (Limits::current(), Usage::current()) else {
        return Diagnosis::new("this namespace has reached a limit", "see shm_ls --limits");
    };
    let hint = |name, value| remove_or_raise("sysv", name, value);
    if usage.segments >= limits.max_segments {
        return Diagnosis::new(
            format!("all {} segments that kernel.shmmni allows are in use", limits.max_segments),
            hint("kernel.shmmni", "NUMBER"),
        );
    }
    let pages = (size as u64).div_ceil(limits.page_bytes);
    let (used, all) = (usage.total_pages, limits.max_total_pages);
    if used.saturating_add(pages) > all {
        return Diagnosis::new(
            format!(
                "{pages} new pages and {used} existing pages exceed kernel.shmall, {all} pages"
            ),
            hint("kernel.shmall", "PAGES"),
        );
    }
    Diagnosis::new(
        format!(
            "this namespace had reached kernel.shmmni or kernel.shmall; now {} of {} segments and \
             {used} of {all} pages are in use",
            usage.segments, limits.max_segments
        ),
        "try again",
    )
}

pub(super) fn out_of_memory(size: usize) -> Diagnosis {
    let mode = parameter("vm/overcommit_memory");
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let size = size as u64;
    let cause = match (mode, Commitment::parse(&meminfo)) {
        (Some(0), Some(it)) if size > it.total => format!(
            "{size} bytes exceed all memory and swap of this machine, {} bytes \
             (vm.overcommit_memory is 0)",
            it.total
        ),
        (Some(2), Some(it)) if size > it.limit.saturating_sub(it.committed) => format!(
            "vm.overcommit_memory is 2, and of CommitLimit, {} bytes, {} bytes are committed: \
             {size} bytes more exceed it",
            it.limit, it.committed
        ),
        (mode, _) => format!(
            "the kernel refuses to allocate {size} bytes; the reason is not known \
             (vm.overcommit_memory is {})",
            mode.map_or_else(|| "unknown".to_owned(), |mode| mode.to_string())
        ),
    };
    Diagnosis::new(cause, "give a smaller --size, or provide more memory or swap")
}

/// What the kernel promises and has promised, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Commitment {
    total: u64,
    limit: u64,
    committed: u64,
}

impl Commitment {
    fn parse(meminfo: &str) -> Option<Self> {
        let value = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Self {
            total: value("MemTotal:")?.checked_add(value("SwapTotal:")?)?,
            limit: value("CommitLimit:")?,
            committed: value("Committed_AS:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Commitment;

    #[test]
    fn the_commitment_is_in_meminfo() {
        let meminfo = "MemTotal:  4 kB\nMemFree: 1 kB\nSwapTotal: 2 kB\nCommitLimit: 5 kB\n\
                       Committed_AS: 3 kB\n";
        let expected = Commitment { total: 6144, limit: 5120, committed: 3072 };
        assert_eq!(Commitment::parse(meminfo), Some(expected));
        assert_eq!(Commitment::parse("MemTotal: 4 kB\n"), None);
    }
}
