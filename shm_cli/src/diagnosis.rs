//! The causes of ambiguous errnos. More system calls find them after the failure.

use std::fs;

mod absence;
mod file_permission;
mod file_server;
mod files;
pub(crate) mod frames;
mod limits;
mod object_limits;
mod permission;
mod refusal;
mod sysvipc;
mod way;

use shm_core::stat::SegmentId;
use shm_core::{Access, Errno, Error, IpcObject, Key, Segment, Stat, table};

use crate::change::{Change, words_here};
use absence::this_namespace;
use permission::Call;
use sysvipc::Found;

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
            Error::Get { key, size, access, errno, .. } => get(*key, *size, *access, *errno),
            Error::Attach { id, write, errno } => attach(*id, *write, *errno),
            Error::Control { id, command, errno } => control(*id, command, *errno),
            Error::Info { errno, .. } => {
                let call = Call { name: "shmctl", errno: *errno, access: Access::Unchecked };
                refused(call, permission::without_object)
            }
            Error::File { call, path, size, access, errno } => {
                let call = Call { name: call, errno: *errno, access: *access };
                Some(files::failed(call, path, *size))
            }
            Error::IpcObject { ipc_object, call, access, size, errno } => {
                let call = Call { name: call, errno: *errno, access: *access };
                ipc_object_failed(*ipc_object, call, *size)
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
            Error::ChosenId { .. } | Error::Name(_) | Error::OutOfBounds { .. } => None,
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
            format!(
                "raise the limit: ulimit -n NUMBER; for a container: {}",
                words_here(Change::OpenFiles)
            ),
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

/// Returns the cause of a refused call, which `explain` finds, or of a call that is missing.
fn refused(call: Call, explain: impl FnOnce(Call) -> Diagnosis) -> Option<Diagnosis> {
    match call.errno {
        Errno::EACCES | Errno::EPERM => Some(explain(call)),
        Errno::ENOSYS => Some(refusal::missing_call(call.name)),
        _ => None,
    }
}

fn get(key: Option<Key>, size: usize, access: Access, errno: Errno) -> Option<Diagnosis> {
    let existing = || key.and_then(|key| Segment::find(key).ok());
    match (errno, key) {
        (Errno::ENOENT, Some(key)) => Some(absence::no_such_key(key)),
        (Errno::EEXIST, Some(key)) => Some(Diagnosis::new(
            format!("key {key} is in use by {}", describe(existing())),
            "omit --create-new to write to it, or choose another --key",
        )),
        (Errno::EINVAL, _) => limits::wrong_size(existing(), size, access == Access::Create),
        (Errno::ENOSPC, _) => Some(limits::limits_met(size)),
        (Errno::ENOMEM, _) => Some(limits::out_of_memory(size)),
        _ => refused(Call { name: "shmget", errno, access }, |call| {
            permission::system_v(call, Found::segment_of_key(key))
        }),
    }
}

fn huge_pages(errno: Errno) -> Option<Diagnosis> {
    match errno {
        Errno::ENOMEM => Some(Diagnosis::new(
            "there are not enough free huge pages",
            "provide more (sysctl vm.nr_hugepages), or create the segment without huge pages",
        )),
        Errno::EPERM => Some(Diagnosis::new(
            "huge pages need CAP_IPC_LOCK in the first user namespace, or the group \
             vm.hugetlb_shm_group",
            "set that group (sysctl vm.hugetlb_shm_group), or create the segment without huge pages",
        )),
        _ => None,
    }
}

fn ipc_object_failed(ipc_object: IpcObject, call: Call, size: u64) -> Option<Diagnosis> {
    let errno = call.errno;
    let object = match ipc_object {
        IpcObject::Semaphores(key) => format!("set of semaphores with key {key}"),
        IpcObject::Queue(key) => format!("message queue with key {key}"),
        IpcObject::Mqueue(key) => format!("POSIX message queue for key {key}"),
    };
    match errno {
        // RLIMIT_MSGQUEUE causes the same errno.
        Errno::EMFILE if has_no_descriptor() => descriptors_used_up(errno),
        Errno::ENFILE => descriptors_used_up(errno),
        Errno::ENOENT => Some(absence::no_such_object(&object)),
        Errno::EEXIST => Some(Diagnosis::new(
            format!("a {object} already exists"),
            "omit --create-new to write to it, or choose another --key",
        )),
        Errno::EACCES | Errno::EPERM if matches!(ipc_object, IpcObject::Mqueue(_)) => {
            Some(file_permission::queue(call, ipc_object.key(), &object))
        }
        Errno::EACCES | Errno::EPERM | Errno::ENOSYS => {
            let find = || Found::object(ipc_object, &object);
            refused(call, |call| permission::system_v(call, find()))
        }
        Errno::EMSGSIZE => Some(Diagnosis::new(
            "the existing message queue was created for shorter texts",
            "give a shorter text, or remove the queue first (--remove)",
        )),
        _ => object_limits::failed(ipc_object, call.name, size, errno),
    }
}

fn attach(id: SegmentId, write: bool, errno: Errno) -> Option<Diagnosis> {
    let segment = Segment::from_id(id);
    match errno {
        Errno::EINVAL | Errno::EIDRM => Some(removed(id)),
        Errno::ENOMEM => Some(Diagnosis::new(
            format!("the address space has no room for {}", describe(Some(segment))),
            "raise the limit of the address space: ulimit -v",
        )),
        _ => {
            let access = if write { Access::ReadWrite } else { Access::Read };
            refused(Call { name: "shmat", errno, access }, |call| {
                permission::system_v(call, Found::segment_of_id(id))
            })
        }
    }
}

fn control(id: SegmentId, command: &str, errno: Errno) -> Option<Diagnosis> {
    let access = if command == "IPC_STAT" { Access::Read } else { Access::Remove };
    match errno {
        Errno::EINVAL | Errno::EIDRM => Some(removed(id)),
        _ => refused(Call { name: "shmctl", errno, access }, |call| {
            permission::system_v(call, Found::segment_of_id(id))
        }),
    }
}

fn removed(id: SegmentId) -> Diagnosis {
    let exists = table::list().map(|stats| stats.iter().any(|stat| stat.shmid == id));
    Diagnosis::new(
        match exists {
            Ok(false) => format!(
                "no segment has id {id} in {}: it was removed, or belongs to another namespace",
                this_namespace()
            ),
            // It appeared after the failure, or there is no listing.
            _ => format!("segment {id} was removed, or belonged to another IPC namespace"),
        },
        "list the segments of this namespace with their ids: shm_ls",
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
