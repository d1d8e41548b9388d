//! Whose a thing is: every container of a run carries the run's id and its owner, and so does
//! every process that stays or that makes something, in its environment or in its arguments.
//!
//! The labels are the record: they are set by the very call that makes the thing, so that nothing
//! can exist without being on it, and they outlive a run that is killed.

use std::fmt;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

use rustix::process::{Pid, test_kill_process};
use shm_core::namespace::boot_id;

/// The label, on containers, that holds the [`RunId`].
pub const RUN_LABEL: &str = "shm.experiment.run";
/// The label, on containers, that holds the [`Owner`].
pub const OWNER_LABEL: &str = "shm.experiment.owner";
/// The annotation, on a pod that sees what its node sees, that holds what may be left there.
pub const REMAINS_ANNOTATION: &str = "shm.experiment.remains";
/// The label, on every image that the Dockerfile makes, those in between included.
pub const IMAGE_LABEL: &str = "shm.experiment.image";
/// The label, on images that runs make for themselves, that holds the base.
pub const BASE_LABEL: &str = "shm.experiment.base";
/// The label, on images that runs make for themselves, that holds the folder that they are from.
pub const CHECKOUT_LABEL: &str = "shm.experiment.checkout";
/// The environment variable, of containers' processes, that holds the [`RunId`].
pub const RUN_VARIABLE: &str = "SHM_EXPERIMENT_RUN";
/// The environment variable, of processes, that holds the [`Owner`].
pub const OWNER_VARIABLE: &str = "SHM_EXPERIMENT_OWNER";

/// The id of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// An id that no other run has.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:010x}", random_number() >> 24))
    }
}

/// A number that nobody else has.
#[must_use]
pub fn random_number() -> u64 {
    // RandomState is seeded by the operating system.
    RandomState::new().build_hasher().finish()
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The process that made a thing, so that it can be told later whether that process still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    boot: String,
    pid_namespace: u64,
    pid: u32,
    started: u64,
}

/// Whether an owner still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs: what it made is in use.
    Alive,
    /// It is gone: what it made was left behind.
    Dead,
    /// It cannot be told: it ran, or runs, on another machine, before the last boot, in another
    /// pid namespace, or hidden from us.
    Elsewhere,
}

impl Owner {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        let pid = std::process::id();
        Self {
            boot: boot_id().unwrap_or_default(),
            pid_namespace: pid_namespace(),
            pid,
            started: stat(pid).map_or(0, |(_, started)| started),
        }
    }

    /// Whether it still lives.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        // After a reboot nothing lives; but another machine, too, has another boot id.
        if Some(&self.boot) != boot_id().as_ref() || self.pid_namespace != pid_namespace() {
            return Liveness::Elsewhere;
        }
        match stat(self.pid) {
            Some(('Z' | 'X', _)) => Liveness::Dead,
            Some((_, started)) if started == self.started => Liveness::Alive,
            Some(_) if self.started != 0 => Liveness::Dead,
            // /proc may hide the processes of others: only the kernel's own word counts.
            _ if is_gone(self.pid) => Liveness::Dead,
            _ => Liveness::Elsewhere,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.pid_namespace, self.pid, self.started)
    }
}

/// A text that names no owner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an owner of a run: {0:?}")]
pub struct ParseOwnerError(String);

impl FromStr for Owner {
    type Err = ParseOwnerError;

    fn from_str(text: &str) -> Result<Self, ParseOwnerError> {
        let parse = || {
            let mut parts = text.split('/');
            let owner = Self {
                boot: parts.next()?.to_owned(),
                pid_namespace: parts.next()?.parse().ok()?,
                pid: parts.next()?.parse().ok()?,
                started: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(owner)
        };
        parse().ok_or_else(|| ParseOwnerError(text.to_owned()))
    }
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino())
}

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

/// The state of a process, and when it started, in clock ticks after boot: fields 3 and 22 of
/// `/proc/PID/stat`, `proc(5)`. One that has ended is there until its parent asks for it.
fn stat(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Liveness, Owner};

    #[test]
    fn this_process_is_an_owner_that_lives() {
        let owner = Owner::current();
        assert_eq!(owner.to_string().parse(), Ok(owner.clone()));
        assert_eq!(owner.liveness(), Liveness::Alive);
    }

    #[test]
    fn a_process_with_the_same_id_that_started_at_another_time_is_not_the_owner() {
        let owner = Owner { started: 1, ..Owner::current() };
        assert_eq!(owner.liveness(), Liveness::Dead);
    }

    #[test]
    fn an_owner_on_another_machine_is_left_alone() {
        let owner = Owner { boot: "another".to_owned(), ..Owner::current() };
        assert_eq!(owner.liveness(), Liveness::Elsewhere);
        assert!("a/1/2".parse::<Owner>().is_err() && "a/1/2/3/4".parse::<Owner>().is_err());
    }
}
