//! The causes of ENOENT: a segment, an object or a file is not there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rustix::param::clock_ticks_per_second;
use shm_core::posix::DIRECTORY;
use shm_core::posix::caution::folder_of;
use shm_core::stat::SegmentId;
use shm_core::{IpcNamespace, Key, Stat, table};

use super::Diagnosis;
use super::files::shown;
use super::limits::{parameter, raise};
use crate::change::{Change, words};
use crate::place::{EngineName, Place, ShmMount};

/// Returns words for the namespace of this process, with its identity if it is known.
pub(super) fn this_namespace() -> String {
    let namespace = IpcNamespace::current().map(|it| format!(", {it}"));
    format!("this IPC namespace{}", namespace.unwrap_or_default())
}

pub(super) fn no_such_key(key: Key) -> Diagnosis {
    let mut cause = format!("no segment has key {key} in {}", this_namespace());
    let Ok(stats) = table::list() else { return Diagnosis::new(cause, write_first()) };
    match stats.len() {
        0 => cause.push_str("; it has no segments"),
        1 => cause.push_str("; it has 1 other segment"),
        count => _ = write!(cause, "; it has {count} other segments"),
    }
    let marked: Vec<_> = stats.iter().filter(|stat| stat.dest).collect();
    if let Some((id, pids)) = removed_and_attached(key, &marked) {
        let _ = write!(
            cause,
            "; segment {id} had this key and is marked for destruction: {} still has it attached",
            process_list(&pids)
        );
        return Diagnosis::new(
            cause,
            "write the text again (shm_wr TEXT with the same --key); the old segment stays until \
             the last process detaches it or ends",
        );
    }
    if !marked.is_empty() {
        let count = marked.len();
        let _ = write!(cause, ", {count} marked for destruction, which shmget no longer finds");
    }
    if parameter("kernel/shm_rmid_forced") == Some(1) {
        cause.push_str(
            "; kernel.shm_rmid_forced is 1, so a segment ends when the last process detaches it: \
             that of shm_wr ends with shm_wr",
        );
        let raise = raise("kernel.shm_rmid_forced", "0");
        return Diagnosis::new(cause, format!("keep a writer attached, or set it to 0: {raise}"));
    }
    if stats.is_empty()
        && let Some(age) = age_of_container(Place::current().engine)
    {
        let _ = write!(cause, "; process 1 of this container started {age} s ago");
    }
    Diagnosis::new(cause, write_first())
}

pub(super) fn no_such_object(object: &str) -> Diagnosis {
    Diagnosis::new(format!("no {object} in {}", this_namespace()), write_first())
}

/// Returns the diagnosis for a POSIX object, if `posix`, or a file that is not there.
pub(super) fn no_such_file(path: &Path, posix: bool) -> Diagnosis {
    let Place { engine, host_ipc, shm } = Place::current();
    if posix && !Path::new(DIRECTORY).is_dir() {
        return Diagnosis::new(
            format!("{DIRECTORY} does not exist"),
            format!("run the container with one; {}", words(Change::PrivateShm, engine)),
        );
    }
    if !posix && !folder_of(path).is_dir() {
        return Diagnosis::new(
            format!("the directory of {} does not exist", shown(path)),
            "create the directory, or mount the volume that contains it",
        );
    }
    if path.is_symlink() {
        return Diagnosis::new(
            format!("{} is a dangling symbolic link", shown(path)),
            "give its target instead, or remove the link first (--remove)",
        );
    }
    let mut cause = format!("{} does not exist", shown(path));
    if !posix {
        return Diagnosis::new(
            cause,
            "write it first, or mount the volume here on which the writer has it",
        );
    }
    let own_mount =
        engine.is_some() && !host_ipc && matches!(shm, ShmMount::Tmpfs | ShmMount::Volume);
    let words = if own_mount {
        let _ = write!(
            cause,
            "; {DIRECTORY} is a --tmpfs or a volume here, so it is not shared with the IPC \
             namespace"
        );
        words(Change::Volume, engine)
    } else {
        join(engine, host_ipc)
    };
    Diagnosis::new(cause, format!("write it first, or share the writer's {DIRECTORY}; {words}"))
}

/// Returns the next step if a namespace has nothing to read.
fn write_first() -> String {
    let Place { engine, host_ipc, .. } = Place::current();
    format!(
        "write a text first (shm_wr TEXT with the same --key and --object), or share the writer's \
         IPC namespace; {}",
        join(engine, host_ipc)
    )
}

/// Returns how `B` shares the namespace of `A`, and what to do if `B` shares that of an earlier start
/// of `A`. This process cannot know whether it is `A`, `B` or neither.
fn join(engine: Option<EngineName>, host_ipc: bool) -> String {
    let mut join = words(Change::Join, engine);
    if matches!(engine, Some(EngineName::Docker | EngineName::Podman)) && !host_ipc {
        let _ = write!(
            join,
            "; if A was started again after B had joined it, B is still in the namespace of A's \
             earlier start; {}",
            words(Change::Restart, engine)
        );
    }
    join
}

/// Returns the seconds since process 1 started, if its container can have made this process's IPC
/// namespace, and others can have joined an earlier run of it.
fn age_of_container(engine: Option<EngineName>) -> Option<u64> {
    // The IPC namespace of a pod is older than its containers.
    engine.filter(|engine| *engine != EngineName::Kubernetes)?;
    let namespace = IpcNamespace::current().ok()?;
    let is_first = std::process::id() == 1;
    if is_first || namespace.is_initial() || IpcNamespace::of_process(1).ok()? != namespace {
        return None;
    }
    let stat = fs::read_to_string("/proc/1/stat").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let started = start_time(&stat)? / clock_ticks_per_second();
    Some(uptime.split('.').next()?.parse::<u64>().ok()?.saturating_sub(started))
}

/// Returns the start time in `/proc/PID/stat`, in clock ticks since the boot.
fn start_time(stat: &str) -> Option<u64> {
    // The name of the program, in parentheses, can contain spaces and parentheses.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Returns the segment among `marked` that had `key`, and the processes that have it attached.
fn removed_and_attached(key: Key, marked: &[&Stat]) -> Option<(SegmentId, Vec<u32>)> {
    let namespace = IpcNamespace::current().ok().filter(|_| !marked.is_empty())?;
    let mut found: Option<(SegmentId, Vec<u32>)> = None;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else { continue };
        let maps = fs::read(entry.path().join("maps")).unwrap_or_default();
        let maps = String::from_utf8_lossy(&maps);
        let ids: Vec<_> = attached(&maps, key).collect();
        let Some(stat) = marked.iter().find(|stat| ids.contains(&stat.shmid)) else { continue };
        // Other namespaces have the same keys and numbers.
        if IpcNamespace::of_process(pid).is_ok_and(|it| it == namespace) {
            let (id, pids) = found.get_or_insert((stat.shmid, vec![]));
            if *id == stat.shmid {
                pids.push(pid);
            }
        }
    }
    found
}

/// Returns the attached segments that were created with `key`, from the text of `/proc/PID/maps`: the
/// name of a mapping has the key, its inode is the shmid.
fn attached(maps: &str, key: Key) -> impl Iterator<Item = SegmentId> {
    let name = format!("/SYSV{:08x}", key.raw());
    maps.lines().filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace();
        let inode = columns.nth(4)?;
        (columns.next()? == name).then(|| inode.parse().ok().map(SegmentId))?
    })
}

fn process_list(pids: &[u32]) -> String {
    match pids {
        [pid] => format!("process {pid}"),
        [pid, others @ ..] => format!("process {pid}, with {} more,", others.len()),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use shm_core::Key;
    use shm_core::stat::SegmentId;

    use super::{attached, process_list, start_time};

    #[test]
    fn the_attached_segments_with_a_key_are_found_in_maps() {
        let maps = "\
            7f1a9c000000-7f1a9c001000 rw-s 00000000 00:01 5    /SYSV0134b3d5 (deleted)\n\
            7f1a9c001000-7f1a9c002000 r--s 00000000 00:01 6    /SYSV0134b3d6 (deleted)\n\
            7f1a9c002000-7f1a9c003000 rw-p 00000000 00:00 0 \n\
            7f1a9c003000-7f1a9c004000 r--s 00000000 00:01 32773    /SYSV0134b3d5 (deleted)\n";
        let key = Key::new(0x0134_b3d5).unwrap();
        assert_eq!(attached(maps, key).collect::<Vec<_>>(), [SegmentId(5), SegmentId(32773)]);
        let negative = Key::new(-1).unwrap();
        let maps = "7f-80 rw-s 00000000 00:01 7 /SYSVffffffff (deleted)\n";
        assert_eq!(attached(maps, negative).collect::<Vec<_>>(), [SegmentId(7)]);
    }

    #[test]
    fn the_start_of_a_process_is_found_behind_any_name() {
        let numbers: Vec<_> = (4..=24).map(|number| number.to_string()).collect();
        let stat = format!("1 (a) b) S {}\n", numbers.join(" "));
        assert_eq!(start_time(&stat), Some(22));
        assert_eq!(start_time("1 (a"), None);
    }

    #[test]
    fn many_processes_are_counted() {
        assert_eq!(process_list(&[7]), "process 7");
        assert_eq!(process_list(&[7, 8, 9]), "process 7, with 2 more,");
    }
}
