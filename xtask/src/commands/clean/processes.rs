//! Kills processes of runs that have ended.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, geteuid, kill_process_group, pidfd_open, pidfd_send_signal,
};

use crate::commands::clean::Summary;
use crate::process::labels::{RUN_VARIABLE, RunId};
use crate::process::ledger::Entry;
use crate::process::proc_stat::ProcStat;

/// The state of a process that a ledger names.
enum ProcessState {
    /// It has ended, or its id now belongs to a process that is not the run's.
    Gone,
    /// It runs; this is its pidfd.
    Ours(OwnedFd),
    /// It is this program or an ancestor.
    Ancestor,
    /// Its user or its environment cannot be verified.
    Unverified(io::Error),
}

/// Kills the processes that runs left: containers of the namespaces engine, and clients of engines.
/// Returns whether it killed any.
pub(super) fn end<'a>(entries: impl Iterator<Item = &'a Entry>, summary: &mut Summary) -> bool {
    let mut any = false;
    for entry in entries {
        let Entry::Process { run, pid, started } = entry else { continue };
        let thing = format!("process {pid}");
        match inspect(run, *pid, *started) {
            ProcessState::Gone => {}
            ProcessState::Ours(process) => {
                any |= summary.remove("host", thing, || kill_all(*pid, &process));
            }
            ProcessState::Ancestor => {
                summary.report(format_args!(
                    "host: left {thing}: it is this command or one that started it"
                ));
            }
            ProcessState::Unverified(error) => summary.fail(format_args!(
                "host: cannot check whether {thing} belongs to a run that has ended: {error}\n\
                 next step: run cargo xtask clean as the user of that process, or as root"
            )),
        }
    }
    any
}

/// Returns the entries of processes that [`end`] does not try to kill.
pub(super) fn left(entries: &[Entry]) -> Vec<Entry> {
    let runs = |entry: &&Entry| match entry {
        Entry::Process { run, pid, started } => {
            let state = inspect(run, *pid, *started);
            matches!(state, ProcessState::Ancestor | ProcessState::Unverified(_))
        }
        _ => false,
    };
    entries.iter().filter(runs).cloned().collect()
}

/// Inspects a process. It is the run's if its start time, its user and its environment match.
fn inspect(run: &RunId, pid: u32, started: u64) -> ProcessState {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(raw) = raw else { return ProcessState::Gone };
    // Open the pidfd first: signals then reach this process only, even if its id is reused.
    let process = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(Errno::SRCH) => return ProcessState::Gone,
        Err(error) => return ProcessState::Unverified(error.into()),
    };
    let folder = format!("/proc/{pid}");
    let same_start = ProcStat::of(pid).is_some_and(|stat| stat.started == started);
    if !same_start {
        return ProcessState::Gone;
    }
    match fs::metadata(&folder).map(|it| it.uid()) {
        Ok(uid) if uid == geteuid().as_raw() => {}
        Ok(uid) => {
            let why = format!("it belongs to user {uid} now");
            return ProcessState::Unverified(io::Error::other(why));
        }
        Err(_) => return ProcessState::Gone,
    }
    let environment = match fs::read(format!("{folder}/environ")) {
        Ok(environment) => environment,
        // A process that has ended has no environment, even if it is a zombie.
        Err(error) if is_no_process(&error) => return ProcessState::Gone,
        Err(error) => return ProcessState::Unverified(error),
    };
    let variable = format!("{RUN_VARIABLE}={run}");
    if !environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes()) {
        return ProcessState::Gone;
    }
    if is_ancestor(pid) { ProcessState::Ancestor } else { ProcessState::Ours(process) }
}

/// Kills a process and the process group that it leads, because a client may have children.
fn kill_all(pid: u32, process: &OwnedFd) -> Result<(), Errno> {
    let gone = |answer| if answer == Err(Errno::SRCH) { Ok(()) } else { answer };
    // While the process is stopped, it keeps its id and so the id of the group.
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

/// Returns whether `pid` is this process or an ancestor.
fn is_ancestor(pid: u32) -> bool {
    let parent = |pid: &u32| ProcStat::of(*pid).map(|stat| stat.parent).filter(|it| *it != 0);
    std::iter::successors(Some(std::process::id()), parent).any(|it| it == pid)
}
