//! The causes of ambiguous errnos. More system calls find them after the failure.

use std::fs;

mod absence;
mod files;
pub(crate) mod frames;
mod limits;
mod object_limits;

use rustix::process::geteuid;
use shm_core::stat::SegmentId;
use shm_core::{Errno, Error, IpcObject, Key, Segment, Stat, table};

/// The most likely cause of a failed call, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The cause, from the state of the system after the call.
    pub cause: String,
    /// The next step.
    pub hint: String,
}

impl Diagnosis {
    pub(crate) fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { cause: cause.into(), hint: hint.into() }
    }

    /// Returns the cause of an error, or `None` if there is nothing to add to its message. The cause
    /// can be wrong if another process changed something after the failed call.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Get { huge: true, errno, .. } => huge_pages(*errno),
            Error::Get { key, size, create, errno, .. } => get(*key, *size, *create, *errno),
            Error::Attach { id, write, errno } => attach(*id, *write, *errno),
            Error::Control { id, errno, .. } => control(*id, *errno),
            Error::Info { errno, .. } => absent_or_filtered(*errno),
            Error::File { path, size, errno, .. } => Some(files::failed(path, *size, *errno)),
            Error::IpcObject { ipc_object, call, size, errno } => {
                ipc_object_failed(*ipc_object, call, *size, *errno)
            }
            Error::Fault { .. } => Some(missing_page("EFAULT")),
            Error::Namespace { errno, .. } => {
                Some(descriptors_used_up(*errno).unwrap_or_else(|| {
                    Self::new(
                        "/proc is not mounted, or the process has ended or belongs to another user",
                        "mount /proc, or run this as the user of the process",
                    )
                }))
            }
            Error::Name(_) | Error::OutOfBounds { .. } => None,
        }
    }
}

/// Returns the diagnosis of an access to a segment that failed with an errno or a signal.
pub(crate) fn missing_page(failure: &str) -> Diagnosis {
    Diagnosis::new(
        format!("an access to the segment failed with {failure}: the kernel has no page for it"),
        "if the segment uses huge pages, reserve some (sysctl vm.nr_hugepages), or create it \
         without SHM_HUGETLB",
    )
}

/// Returns the diagnosis if `errno` means that no more files can be opened.
fn descriptors_used_up(errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::EMFILE => Some(Diagnosis::new(
            "this process has reached its limit of open files, RLIMIT_NOFILE",
            "raise the limit: ulimit -n NUMBER, docker run --ulimit nofile=NUMBER",
        )),
        Errno::ENFILE => Some(Diagnosis::new(
            "the system has reached its limit of open files, fs.file-max",
            "end programs that have many open files, or raise the limit: sysctl fs.file-max",
        )),
        _ => None,
    }
}

/// Returns whether this process cannot open one more file.
fn has_no_descriptor() -> bool {
    fs::File::open("/").is_err_and(|error| Errno::from_io(&error) == Errno::EMFILE)
}

fn get(key: Option<Key>, size: usize, create: bool, errno: Errno) -> Option<Diagnosis> {
    let existing = || key.and_then(|key| Segment::find(key).ok());
    match (errno, key) {
        (Errno::ENOENT, Some(key)) => Some(absence::no_such_key(key)),
        (Errno::EEXIST, Some(key)) => Some(Diagnosis::new(
            format!("key {key} is in use by {}", describe(existing())),
            "omit --create-new to write to it, or choose another --key",
        )),
        (Errno::EACCES, _) => Some(denied(&describe(existing()))),
        (Errno::EINVAL, _) => limits::wrong_size(existing(), size, create),
        (Errno::ENOSPC, _) => Some(limits::limits_met(size)),
        (Errno::ENOMEM, _) => Some(limits::out_of_memory(size)),
        _ => absent_or_filtered(errno),
    }
}

fn huge_pages(errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::ENOMEM => Some(Diagnosis::new(
            "there are not enough free huge pages",
            "provide more (sysctl vm.nr_hugepages), or create the segment without huge pages",
        )),
        Errno::EPERM => Some(Diagnosis::new(
            "only root and the group vm.hugetlb_shm_group may use huge pages",
            "set that group (sysctl vm.hugetlb_shm_group), or create the segment without huge pages",
        )),
        _ => None,
    }
}

fn ipc_object_failed(
    ipc_object: IpcObject,
    call: &str,
    size: u64,
    errno: Errno,
) -> Option<Diagnosis> {
    let object = match ipc_object {
        IpcObject::Semaphores(key) => format!("set of semaphores with key {key}"),
        IpcObject::Queue(key) => format!("message queue with key {key}"),
        IpcObject::Mqueue(key) => format!("POSIX message queue for key {key}"),
    };
    let uid = geteuid().as_raw();
    match errno {
        // RLIMIT_MSGQUEUE causes the same errno.
        Errno::EMFILE if has_no_descriptor() => descriptors_used_up(errno),
        Errno::ENFILE => descriptors_used_up(errno),
        Errno::ENOENT => Some(absence::no_such_object(&object)),
        Errno::EEXIST => Some(Diagnosis::new(
            format!("a {object} already exists"),
            "omit --create-new to write to it, or choose another --key",
        )),
        Errno::EACCES | Errno::EPERM => Some(Diagnosis::new(
            format!("user {uid} may not do this to the {object}: its mode or owner forbids it"),
            "run this as its owner",
        )),
        Errno::EMSGSIZE => Some(Diagnosis::new(
            "the existing message queue was created for shorter texts",
            "give a shorter text, or remove the queue first (--remove)",
        )),
        _ => object_limits::failed(ipc_object, call, size, errno)
            .or_else(|| absent_or_filtered(errno)),
    }
}

/// Returns the diagnosis if `errno` means that System V IPC is unavailable.
fn absent_or_filtered(errno: Errno) -> Option<Diagnosis> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let filtered = status
        .lines()
        .any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"));
    match errno {
        Errno::EPERM | Errno::ENOSYS if filtered => Some(Diagnosis::new(
            "a seccomp filter is active and may refuse System V IPC",
            "try --security-opt seccomp=unconfined; if that helps, allow the refused calls in the \
             profile, such as shmget, shmat, shmdt and shmctl",
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
            let mut diagnosis = denied(&describe(Some(segment)));
            if write && segment.attach().is_ok() {
                diagnosis.cause.push_str("; it can be read");
            }
            Some(diagnosis)
        }
        Errno::EINVAL | Errno::EIDRM => Some(removed(id)),
        Errno::ENOMEM => Some(Diagnosis::new(
            format!("the address space has no room for {}", describe(Some(segment))),
            "raise the limit of the address space: ulimit -v",
        )),
        _ => absent_or_filtered(errno),
    }
}

fn control(id: SegmentId, errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::EPERM => Some(Diagnosis::new(
            format!(
                "user {} is neither owner nor creator of {}, and has no CAP_SYS_ADMIN in the user \
                 namespace that owns the IPC namespace",
                geteuid().as_raw(),
                describe(Some(Segment::from_id(id))),
            ),
            "run this as the segment's owner or as root",
        )),
        Errno::EACCES => Some(denied(&describe(Some(Segment::from_id(id))))),
        Errno::EINVAL | Errno::EIDRM => Some(removed(id)),
        _ => None,
    }
}

/// Returns the diagnosis if the mode of an object denies access.
fn denied(object: &str) -> Diagnosis {
    Diagnosis::new(
        format!("user {} may not access {object}", geteuid().as_raw()),
        "run this as its owner; or let the owner remove it and create it again with a --mode that \
         includes this user, such as 0666",
    )
}

fn removed(id: SegmentId) -> Diagnosis {
    Diagnosis::new(
        format!("segment {id} was removed, or belongs to another IPC namespace"),
        "list the segments (shm_ls), then try again",
    )
}

/// Describes a segment. Uses the listing, which includes segments that this user may not read.
fn describe(segment: Option<Segment>) -> String {
    let find =
        |segment: Segment| table::list().ok()?.into_iter().find(|stat| stat.shmid == segment.id());
    match segment.and_then(find) {
        Some(Stat { shmid, uid, mode, size, .. }) => {
            format!("segment {shmid} of user {uid}, mode {mode:04o}, {size} bytes")
        }
        None => "a segment that no longer exists".to_owned(),
    }
}
