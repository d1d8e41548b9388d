//! Processes of runs that are gone.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, geteuid, kill_process_group, pidfd_open, pidfd_send_signal,
};

use crate::commands::clean::summary::Summary;
use crate::process::labels::{RUN_VARIABLE, RunId};
use crate::process::ledger::Entry;
use crate::process::proc_stat::ProcStat;

/// What became of a process that a ledger names.
enum Look {
    /// It has ended, or the process that has its id now is not the run's.
    Gone,
    /// It runs, and this is a descriptor of it.
    Ours(OwnedFd),
    /// It is this program or one that it was started by.
    Ancestor,
    /// Its environment cannot be read.
    Hidden(io::Error),
}

/// Ends the processes that runs have left: containers of the namespaces engine, and clients that make
/// something. Says whether it ended any.
pub(super) fn end<'a>(entries: impl Iterator<Item = &'a Entry>, summary: &mut Summary) -> bool {
    let mut any = false;
    for entry in entries {
        let Entry::Process { run, pid, started } = entry else { continue };
        let thing = format!("process {pid}");
        match look(run, *pid, *started) {
            Look::Gone => {}
            Look::Ours(process) => {
                any |= summary.remove("host", thing, || kill_all(*pid, &process));
            }
            Look::Ancestor => {
                summary.tell(format_args!("host: {thing} is left, for this program runs in it"));
            }
            Look::Hidden(error) => summary.fail(format_args!(
                "host: {thing} may be of a run that is gone, and its environment cannot be read: {error}"
            )),
        }
    }
    any
}

/// Those of the entries whose processes still run.
pub(super) fn left(entries: &[Entry]) -> Vec<Entry> {
    let runs = |entry: &&Entry| match entry {
        Entry::Process { run, pid, started } => {
            matches!(look(run, *pid, *started), Look::Ancestor | Look::Hidden(_))
        }
        _ => false,
    };
    entries.iter().filter(runs).cloned().collect()
}

/// Looks at a process: it is the run's where its start, its user and its environment say so.
fn look(run: &RunId, pid: u32, started: u64) -> Look {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(raw) = raw else { return Look::Gone };
    // Opened before it is looked at: what is signalled is what was seen, whatever gets its id.
    let process = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Look::Gone,
        Err(error) => return Look::Hidden(error.into()),
    };
    let folder = format!("/proc/{pid}");
    let same_start = ProcStat::of(pid).is_some_and(|stat| stat.started == started);
    if !same_start {
        return Look::Gone;
    }
    match fs::metadata(&folder).map(|it| it.uid()) {
        Ok(owner) if owner == geteuid().as_raw() => {}
        Ok(owner) => return Look::Hidden(io::Error::other(format!("it is user {owner}'s now"))),
        Err(_) => return Look::Gone,
    }
    let environment = match fs::read(format!("{folder}/environ")) {
        Ok(environment) => environment,
        // One that has ended has none, whether it was waited for or not.
        Err(error) if is_no_process(&error) => return Look::Gone,
        Err(error) => return Look::Hidden(error),
    };
    let variable = format!("{RUN_VARIABLE}={run}");
    if !environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes()) {
        return Look::Gone;
    }
    if is_ancestor(pid) { Look::Ancestor } else { Look::Ours(process) }
}

/// Kills a process and the group that it leads: a client may have others work for it.
fn kill_all(pid: u32, process: &OwnedFd) -> Result<(), Errno> {
    let gone = |answer| if answer == Err(Errno::SRCH) { Ok(()) } else { answer };
    // A stopped process keeps its id, and so the group, until it is killed.
    if gone(pidfd_send_signal(process, Signal::STOP)).is_ok()
        && let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && ProcStat::of(pid).is_some_and(|stat| stat.group == pid)
        && pidfd_send_signal(process, Signal::STOP).is_ok()
    {
        gone(kill_process_group(group, Signal::KILL))?;
    }
    gone(pidfd_send_signal(process, Signal::KILL))
}

fn is_no_process(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::SRCH, Errno::NOENT].iter().any(|it| number == Some(it.raw_os_error()))
}

/// Whether it is this process or one above it.
fn is_ancestor(pid: u32) -> bool {
    let above = |pid: &u32| ProcStat::of(*pid).map(|stat| stat.parent).filter(|it| *it != 0);
    std::iter::successors(Some(std::process::id()), above).any(|it| it == pid)
}
