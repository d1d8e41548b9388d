//! The causes behind ambiguous errnos, found by asking the kernel again.

use std::fmt::Write as _;
use std::fs;

mod files;
mod frames;

use rustix::process::geteuid;
use serde::Serialize;
use shm_core::stat::SegmentId;
use shm_core::{Errno, Error, IpcNamespace, IpcObject, Key, Limits, Segment, Stat, Usage, table};
use shm_frame::FrameError;

/// What most likely made a call fail, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// What is the case, as the kernel tells it now.
    pub cause: String,
    /// The next step.
    pub hint: String,
}

impl Diagnosis {
    pub(crate) fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { cause: cause.into(), hint: hint.into() }
    }

    /// Looks for the cause of an error. The answer is only as good as the moment: others may have
    /// changed things since the call failed. `None` where nothing can be added to the errno.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Get { key, size, create, errno } => get(*key, *size, *create, *errno),
            Error::Attach { id, write, errno } => attach(*id, *write, *errno),
            Error::Control { id, errno, .. } => control(*id, *errno),
            Error::Info { errno, .. } => absent_or_filtered(*errno),
            Error::File { path, size, errno, .. } => Some(files::failed(path, *size, *errno)),
            Error::IpcObject { ipc_object, errno, .. } => ipc_object_failed(*ipc_object, *errno),
            Error::Fault { .. } => Some(missing_page("EFAULT")),
            Error::Namespace { errno, .. } => {
                Some(descriptors_used_up(*errno).unwrap_or_else(|| {
                    Self::new(
                        "/proc is not mounted here, or the process is gone or somebody else's",
                        "mount /proc, or run this as the process's user",
                    )
                }))
            }
            Error::Name(_) | Error::OutOfBounds { .. } => None,
        }
    }

    /// Returns the cause of an unusable frame and the next step. `key` is that of the segment.
    #[must_use]
    pub fn of_frame(key: Key, error: &FrameError) -> Self {
        frames::diagnosis(key, error)
    }
}

/// The diagnosis of an access that the kernel answered with `answer`.
pub(crate) fn missing_page(answer: &str) -> Diagnosis {
    Diagnosis::new(
        format!("an access to its memory failed with {answer}: the kernel has no page for it"),
        "if the segment uses huge pages, provide some (sysctl vm.nr_hugepages), or create it without \
         SHM_HUGETLB",
    )
}

/// The cause where no more files can be opened.
fn descriptors_used_up(errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::EMFILE => Some(Diagnosis::new(
            "this process has reached its limit of open files, RLIMIT_NOFILE",
            "raise the limit (ulimit -n, docker run --ulimit nofile=64)",
        )),
        Errno::ENFILE => Some(Diagnosis::new(
            "the system has reached its limit of open files, fs.file-max",
            "close some, or raise the limit: sysctl fs.file-max",
        )),
        _ => None,
    }
}

/// Whether this process has reached its limit of open files now.
fn has_no_descriptor() -> bool {
    fs::File::open("/").is_err_and(|error| Errno::from_io(&error) == Errno::EMFILE)
}

fn get(key: Key, size: usize, create: bool, errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::ENOENT => Some(no_such_key(key)),
        Errno::EEXIST => Some(Diagnosis::new(
            format!("key {key} is taken by {}", describe(Segment::find(key).ok())),
            "leave out --create-new to write to it, or choose another --key",
        )),
        Errno::EACCES => Some(denied(Segment::find(key).ok())),
        Errno::EINVAL => wrong_size(key, size, create),
        Errno::ENOSPC => Some(limits_met(size)),
        Errno::ENOMEM => Some(out_of_memory(size)),
        _ => absent_or_filtered(errno),
    }
}

fn no_such_key(key: Key) -> Diagnosis {
    let mut cause = format!("no segment has key {key} in this IPC namespace");
    if let Ok(namespace) = IpcNamespace::current() {
        let _ = write!(cause, ", {namespace}");
    }
    let stats = table::list().unwrap_or_default();
    match stats.len() {
        0 => cause.push_str("; it holds no segments at all"),
        1 => cause.push_str("; it holds 1 other segment"),
        count => _ = write!(cause, "; it holds {count} other segments"),
    }
    let doomed = stats.iter().filter(|stat| stat.dest).count();
    if doomed > 0 {
        let _ = write!(cause, ", {doomed} marked for destruction, whose keys no longer find them");
    }
    Diagnosis::new(cause, WRITE_FIRST)
}

fn ipc_object_failed(ipc_object: IpcObject, errno: Errno) -> Option<Diagnosis> {
    let what = match ipc_object {
        IpcObject::Semaphores(key) => format!("set of semaphores has key {key}"),
        IpcObject::Queue(key) => format!("message queue has key {key}"),
        IpcObject::Mqueue(key) => format!("POSIX message queue belongs to key {key}"),
    };
    let limits = match ipc_object {
        IpcObject::Semaphores(_) => "kernel.sem",
        IpcObject::Queue(_) => "kernel.msgmax, kernel.msgmni or kernel.msgmnb",
        IpcObject::Mqueue(_) => "fs.mqueue.queues_max or RLIMIT_MSGQUEUE",
    };
    match errno {
        // A limit on queues gives the same errno.
        Errno::EMFILE if has_no_descriptor() => descriptors_used_up(errno),
        Errno::ENFILE => descriptors_used_up(errno),
        Errno::ENOENT => {
            let namespace = IpcNamespace::current().map(|it| format!(", {it}"));
            Some(Diagnosis::new(
                format!("no {what} in this IPC namespace{}", namespace.unwrap_or_default()),
                WRITE_FIRST,
            ))
        }
        Errno::EEXIST => Some(Diagnosis::new(
            format!("a {what} already"),
            "leave out --create-new to write to it, or choose another one",
        )),
        Errno::EACCES | Errno::EPERM => Some(Diagnosis::new(
            format!("a {what}, but its mode or its owner does not let this user do that"),
            "run this as its owner",
        )),
        Errno::ENOSPC | Errno::EMFILE | Errno::EAGAIN => Some(Diagnosis::new(
            format!("a limit of this namespace or user is met: {limits}"),
            format!("remove what is not used (ipcrm, /dev/mqueue), or raise {limits}"),
        )),
        Errno::EINVAL => Some(Diagnosis::new(
            format!("the text, or its --size, is more than {limits} allows"),
            "give a shorter text or a smaller --size",
        )),
        Errno::EMSGSIZE => Some(Diagnosis::new(
            "the message queue that is there was made for shorter texts",
            "give a shorter text, or remove it first (--remove)",
        )),
        _ => absent_or_filtered(errno),
    }
}

/// What to do where there is nothing to read.
const WRITE_FIRST: &str = "write it first (shm_wr TEXT), or run this where it was written: docker \
                           exec in the same container, or --ipc=container:NAME";

fn wrong_size(key: Key, size: usize, create: bool) -> Option<Diagnosis> {
    if let Ok(stat) = Segment::find(key).and_then(Segment::stat)
        && !create
        && stat.size < size as u64
    {
        return Some(Diagnosis::new(
            format!("the segment has {} bytes, fewer than the {size} asked for", stat.size),
            format!("give --size {}, or remove it first (--remove)", stat.size),
        ));
    }
    if size == 0 {
        return Some(Diagnosis::new("a new segment has at least 1 byte", "give a larger --size"));
    }
    if size as u64 > i64::MAX as u64 {
        return Some(Diagnosis::new(
            format!("{size} bytes are more than the kernel has addresses for"),
            "give a smaller --size",
        ));
    }
    let limits = Limits::current().ok()?;
    (size as u64 > limits.max_segment_bytes).then(|| {
        Diagnosis::new(
            format!(
                "{size} bytes are more than this namespace's kernel.shmmax, {} bytes",
                limits.max_segment_bytes
            ),
            "give a smaller --size, or raise it for the container: --sysctl kernel.shmmax=BYTES",
        )
    })
}

fn limits_met(size: usize) -> Diagnosis {
    let (Ok(limits), Ok(usage)) = (Limits::current(), Usage::current()) else {
        return Diagnosis::new("the namespace's limits are met", "see shm_ls --limits");
    };
    if usage.segments >= limits.max_segments {
        return Diagnosis::new(
            format!("all {} segments of kernel.shmmni are in use", limits.max_segments),
            "remove some (ipcrm), or raise it: --sysctl kernel.shmmni=NUMBER",
        );
    }
    let pages = (size as u64).div_ceil(limits.page_bytes);
    Diagnosis::new(
        format!(
            "{pages} more pages on top of {} exceed kernel.shmall, {} pages",
            usage.total_pages, limits.max_total_pages
        ),
        "remove some segments (ipcrm), or raise it: --sysctl kernel.shmall=PAGES",
    )
}

fn out_of_memory(size: usize) -> Diagnosis {
    let overcommit = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    Diagnosis::new(
        format!(
            "the kernel does not grant {size} bytes: vm.overcommit_memory is {}, or the memory \
             cgroup's limit is met",
            overcommit.trim()
        ),
        "give a smaller --size, or raise the container's --memory",
    )
}

/// For errnos that say that System V IPC as a whole is not to be had.
fn absent_or_filtered(errno: Errno) -> Option<Diagnosis> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let filtered = status
        .lines()
        .any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"));
    match errno {
        Errno::EPERM | Errno::ENOSYS if filtered => Some(Diagnosis::new(
            "a seccomp filter is in force and may refuse System V IPC",
            "try --security-opt seccomp=unconfined, then allow shmget, shmat, shmdt and shmctl",
        )),
        Errno::ENOSYS => Some(Diagnosis::new(
            "this kernel has no System V IPC (CONFIG_SYSVIPC)",
            "use POSIX shared memory instead: --posix NAME",
        )),
        _ => None,
    }
}

fn attach(id: SegmentId, write: bool, errno: Errno) -> Option<Diagnosis> {
    let segment = Segment::from_id(id);
    match errno {
        Errno::EACCES => {
            let mut diagnosis = denied(Some(segment));
            if write && segment.attach().is_ok() {
                diagnosis.cause.push_str("; it can be read");
            }
            Some(diagnosis)
        }
        Errno::EINVAL | Errno::EIDRM => Some(gone(id)),
        Errno::ENOMEM => Some(Diagnosis::new(
            format!("no room in the address space for {}", describe(Some(segment))),
            "raise the limit on it: ulimit -v",
        )),
        _ => absent_or_filtered(errno),
    }
}

fn control(id: SegmentId, errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::EPERM => Some(Diagnosis::new(
            format!(
                "user {} is neither owner nor creator of {}, and has no CAP_SYS_ADMIN in the \
                 namespace's user namespace",
                geteuid().as_raw(),
                describe(Some(Segment::from_id(id))),
            ),
            "run this as the segment's owner or as root",
        )),
        Errno::EACCES => Some(denied(Some(Segment::from_id(id)))),
        Errno::EINVAL | Errno::EIDRM => Some(gone(id)),
        _ => None,
    }
}

fn denied(segment: Option<Segment>) -> Diagnosis {
    Diagnosis::new(
        format!("user {} may not access {}", geteuid().as_raw(), describe(segment)),
        "run this as its owner, or have the writer give --mode 0666",
    )
}

fn gone(id: SegmentId) -> Diagnosis {
    Diagnosis::new(
        format!("segment {id} was removed meanwhile, or belongs to another IPC namespace"),
        "try again; shm_ls shows what is there",
    )
}

/// A segment in words, from the listing, which shows also what may not be read.
fn describe(segment: Option<Segment>) -> String {
    let find =
        |segment: Segment| table::list().ok()?.into_iter().find(|stat| stat.shmid == segment.id());
    match segment.and_then(find) {
        Some(Stat { shmid, uid, mode, size, .. }) => {
            format!("segment {shmid} of user {uid}, mode {mode:04o}, {size} bytes")
        }
        None => "a segment that is gone by now".to_owned(),
    }
}
