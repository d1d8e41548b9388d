//! The text of `--all-objects`.

use std::io::{self, Write};

use indicatif::BinaryBytes;
use shm_cli::memory_limit::MemoryGroup;
use shm_core::posix;
use shm_core::table::{Row, Table, queues, semaphores};
use shm_core::text::escape_line;

use crate::dev_shm::DevShm;
use crate::facts::{Facts, Reading};
use crate::mqueues;
use crate::owner::Owners;
use crate::resources::{Level, Resource, resources};

/// Prints the limits first, then the objects.
pub(crate) fn print(facts: &Facts, stdout: &mut impl Write) -> io::Result<()> {
    let owners = Owners::load();
    match &facts.ipc_namespace {
        Some(namespace) => writeln!(stdout, "IPC namespace {namespace}\n")?,
        None => writeln!(stdout, "IPC namespace: not read: /proc/self/ns/ipc cannot be opened\n")?,
    }
    print_resources(facts, stdout)?;
    print_dev_shm(&facts.dev_shm, stdout)?;
    print_memory(&facts.memory, stdout)?;
    print_system_v(facts, &owners, stdout)?;
    print_mqueues(facts, &owners, stdout)?;
    print_posix(facts, &owners, stdout)
}

fn print_resources(facts: &Facts, stdout: &mut impl Write) -> io::Result<()> {
    let resources = resources(facts);
    let width = resources.iter().map(|it| it.description.chars().count()).max().unwrap_or(0);
    let [name, description, limit, used] = ["RESOURCE", "DESCRIPTION", "LIMIT", "USED"];
    writeln!(stdout, "  {name:<21} {description:<width$} {limit:>20} {used:>12} USE%")?;
    for resource in &resources {
        let Resource { name, description, limit, used, .. } = resource;
        let amount = |number: u64| {
            if resource.in_bytes { BinaryBytes(number).to_string() } else { number.to_string() }
        };
        let limit = limit.map_or_else(|| "none".to_owned(), amount);
        let used = used.map_or_else(|| "-".to_owned(), amount);
        let percent = resource.percent().map_or_else(|| "-".to_owned(), |it| format!("{it}%"));
        let (mark, word) = match resource.level() {
            Some(Level::Full) => ("!", " FULL"),
            Some(Level::NearlyFull) => ("!", " NEARLY FULL"),
            None => (" ", ""),
        };
        let description = escape_line(description.as_bytes());
        writeln!(
            stdout,
            "{mark} {name:<21} {description:<width$} {limit:>20} {used:>12} {percent:>4}{word}"
        )?;
    }
    not_read("the limits of segments", &facts.limits, stdout)?;
    not_read("the use of segments", &facts.usage, stdout)?;
    not_read("kernel.sem", &facts.semaphore_limits, stdout)?;
    not_read("the limits of System V message queues", &facts.queue_limits, stdout)?;
    not_read("the limits of POSIX message queues", &facts.mqueue_limits, stdout)
}

fn print_dev_shm(shm: &Reading<DevShm>, stdout: &mut impl Write) -> io::Result<()> {
    writeln!(stdout)?;
    let Some(shm) = shm.read() else { return not_read(posix::DIRECTORY, shm, stdout) };
    let mount = &shm.mount;
    let line = format!(
        "{} of {} from {}, {}; {}",
        mount.mount_point,
        mount.file_system,
        mount.source,
        mount.flags.join(","),
        mount.options.join(",")
    );
    let marks: String = [
        (mount.mount_point != posix::DIRECTORY, "NO MOUNT here, "),
        (mount.is_read_only(), "READ-ONLY, "),
        (!shm.is_writable_for_all(), "NOT WRITABLE for all users, "),
    ]
    .iter()
    .filter_map(|(is_so, mark)| is_so.then_some(*mark))
    .collect();
    writeln!(
        stdout,
        "/dev/shm: {marks}mode {} of user {}, group {}\n  mounted: {}",
        shm.mode,
        shm.uid,
        shm.gid,
        escape_line(line.as_bytes())
    )
}

fn print_memory(memory: &Reading<Vec<MemoryGroup>>, stdout: &mut impl Write) -> io::Result<()> {
    if let Some(group) = memory.read().and_then(|groups| groups.first()) {
        let folder = group.folder.to_string_lossy();
        writeln!(
            stdout,
            "memory cgroup: {}, {} of its use are shared memory",
            escape_line(folder.as_bytes()),
            BinaryBytes(group.shared)
        )?;
    }
    not_read("the memory cgroup", memory, stdout)
}

fn print_system_v(facts: &Facts, owners: &Owners, stdout: &mut impl Write) -> io::Result<()> {
    if let Some(segments) = facts.segments.read() {
        let row = |stat| Row::new(stat, owners.name(stat.uid));
        write!(stdout, "{}", Table(segments.iter().map(row).collect()))?;
    }
    not_read("the segments", &facts.segments, stdout)?;
    if let Some(sets) = facts.semaphores.read() {
        let rows = sets.iter().map(|set| (set.clone(), owners.label(set.uid))).collect();
        write!(stdout, "{}", semaphores::Table(rows))?;
    }
    not_read("the sets of semaphores", &facts.semaphores, stdout)?;
    if let Some(queues) = facts.queues.read() {
        let rows = queues.iter().map(|queue| (queue.clone(), owners.label(queue.uid))).collect();
        write!(stdout, "{}", queues::Table(rows))?;
    }
    not_read("the System V message queues", &facts.queues, stdout)
}

fn print_mqueues(facts: &Facts, owners: &Owners, stdout: &mut impl Write) -> io::Result<()> {
    if let Some(queues) = facts.mqueues.read() {
        writeln!(stdout, "\n------ POSIX Message Queues ({}) --------", mqueues::DIRECTORY)?;
        let [owner, perms, bytes, name] = ["owner", "perms", "used-bytes", "name"];
        writeln!(stdout, "{owner:<10} {perms:<10} {bytes:<12} {name}")?;
        for queue in queues {
            let bytes = queue.used_bytes.map_or_else(|| "-".to_owned(), |it| it.to_string());
            let (owner, name) = (owners.label(queue.uid), escape_line(queue.name.as_bytes()));
            writeln!(stdout, "{owner:<10.10} {:<10} {bytes:<12} {name}", queue.mode)?;
        }
        writeln!(stdout)?;
    }
    not_read("the POSIX message queues", &facts.mqueues, stdout)
}

fn print_posix(facts: &Facts, owners: &Owners, stdout: &mut impl Write) -> io::Result<()> {
    let Some(objects) = facts.posix_objects.read() else {
        return not_read("the POSIX objects", &facts.posix_objects, stdout);
    };
    writeln!(stdout, "\n------ POSIX Objects ({}) --------", posix::DIRECTORY)?;
    let [owner, perms, bytes, allocated] = ["owner", "perms", "bytes", "allocated"];
    let [kind, name] = ["kind", "name"];
    writeln!(stdout, "{owner:<10} {perms:<10} {bytes:<12} {allocated:<12} {kind:<10} {name}")?;
    for object in objects {
        let (owner, kind) = (owners.label(object.uid), object.kind.as_str());
        let (mode, size, allocated) = (&object.mode, object.size, object.allocated);
        let name = escape_line(object.name.as_bytes());
        writeln!(stdout, "{owner:<10.10} {mode:<10} {size:<12} {allocated:<12} {kind:<10} {name}")?;
    }
    let listed = objects.iter().fold(0, |sum: u64, object| sum.saturating_add(object.allocated));
    let used = facts.dev_shm.read().filter(|shm| shm.is_separate() && shm.size > 0);
    match used.map(|shm| shm.size.saturating_sub(shm.free).saturating_sub(listed)) {
        Some(others) if others > 0 => writeln!(
            stdout,
            "not in this list: {}, in directories or in unlinked objects that a process still has \
             open or mapped\n",
            BinaryBytes(others)
        ),
        _ => writeln!(stdout),
    }
}

/// Says why something could not be read.
fn not_read<T>(what: &str, reading: &Reading<T>, stdout: &mut impl Write) -> io::Result<()> {
    match reading {
        Reading::Read(_) => Ok(()),
        Reading::NotRead { not_read } => {
            writeln!(stdout, "not read: {what}: {}", escape_line(not_read.as_bytes()))
        }
    }
}
