//! The causes of calls on semaphores and message queues that failed at a limit.

use rustix::process::{Resource, geteuid, getrlimit};
use shm_core::table::{queues, semaphores};
use shm_core::{Errno, IpcObject};

use super::Diagnosis;
use super::limits::{parameter, parameters, raise, remove_or_raise};
use crate::change::{Change, words};
use crate::place::Place;

/// The longest message that the tools send and receive through a System V queue.
const LONGEST_MESSAGE: u64 = 8192;

/// The largest value of `fs.mqueue.msgsize_max`, `HARD_MSGSIZEMAX`. `mq_overview(7)`.
const LARGEST_QUEUED: u64 = 16 * 1024 * 1024;

/// Returns the diagnosis of a call that failed at a limit. `size` is the number of semaphores or
/// bytes that the call was to make or send.
pub(super) fn failed(
    ipc_object: IpcObject,
    call: &str,
    size: u64,
    errno: Errno,
) -> Option<Diagnosis> {
    match (ipc_object, errno) {
        (IpcObject::Semaphores(_), Errno::EINVAL | Errno::ENOSPC) if call == "semget" => {
            semget(size, errno)
        }
        (IpcObject::Queue(_), Errno::ENOSPC) => Some(msgget()),
        (IpcObject::Queue(_), Errno::EINVAL) if call == "msgsnd" => message_too_long(size),
        (IpcObject::Queue(_), Errno::EAGAIN) => Some(queue_full(size)),
        (IpcObject::Mqueue(_), Errno::EINVAL) if call == "mq_open" => queue_attributes(size),
        (IpcObject::Mqueue(_), Errno::ENOSPC) => Some(Diagnosis::new(
            match parameter("fs/mqueue/queues_max") {
                Some(most) => {
                    format!("all {most} queues that fs.mqueue.queues_max allows are in use")
                }
                None => "fs.mqueue.queues_max is reached".to_owned(),
            },
            remove_or_raise("mqueue", "fs.mqueue.queues_max", "NUMBER"),
        )),
        (IpcObject::Mqueue(_), Errno::EMFILE) => Some(queue_bytes(size)),
        (IpcObject::Mqueue(_), Errno::EAGAIN) => Some(Diagnosis::new(
            "another process filled the queue after this one had emptied it",
            "try again",
        )),
        _ => None,
    }
}

/// Compares with `kernel.sem`, `proc_sys_kernel(5)`: SEMMSL in a set, SEMMNS in all sets, SEMOPM, and
/// SEMMNI sets.
fn semget(size: u64, errno: Errno) -> Option<Diagnosis> {
    let [in_set, in_all, operations, sets] = parameters("kernel/sem")?.try_into().ok()?;
    let value =
        |in_set: u64, in_all: u64, sets: u64| format!("\"{in_set} {in_all} {operations} {sets}\"");
    if errno == Errno::EINVAL {
        return (size > in_set).then(|| {
            let value = value(size, in_all.max(size), sets);
            Diagnosis::new(
                format!(
                    "{size} semaphores, one for each byte of --size, exceed SEMMSL, the first \
                     number of kernel.sem: {in_set} in a set"
                ),
                format!("give --size {in_set}, or raise it; {}", raise("kernel.sem", &value)),
            )
        });
    }
    let used = semaphores::list().ok()?;
    let count = used.len() as u64;
    let in_use = used.iter().fold(0, |sum: u64, set| sum.saturating_add(set.nsems));
    let (cause, value) = if count >= sets {
        let cause = format!(
            "all {sets} sets that SEMMNI, the fourth number of kernel.sem, allows are in use"
        );
        (cause, value(in_set, in_all, count + 1))
    } else if in_use.saturating_add(size) > in_all {
        let cause = format!(
            "{size} new semaphores and {in_use} existing ones exceed SEMMNS, the second number of \
             kernel.sem: {in_all}"
        );
        (cause, value(in_set, in_use.saturating_add(size), sets))
    } else {
        let cause = format!(
            "SEMMNI or SEMMNS of kernel.sem was reached; now {count} of {sets} sets and {in_use} of \
             {in_all} semaphores are in use"
        );
        return Some(Diagnosis::new(cause, "try again"));
    };
    Some(Diagnosis::new(cause, remove_or_raise("sem", "kernel.sem", &value)))
}

fn msgget() -> Diagnosis {
    let used = queues::list().ok().map(|queues| queues.len().to_string());
    let most = parameter("kernel/msgmni").map(|most| most.to_string());
    let unknown = || "an unknown number".to_owned();
    Diagnosis::new(
        format!(
            "kernel.msgmni of this namespace is reached: {} of {} queues are in use",
            used.unwrap_or_else(unknown),
            most.unwrap_or_else(unknown)
        ),
        remove_or_raise("msg", "kernel.msgmni", "NUMBER"),
    )
}

fn message_too_long(size: u64) -> Option<Diagnosis> {
    if size > LONGEST_MESSAGE {
        return Some(Diagnosis::new(
            format!(
                "{size} bytes exceed the longest message of these tools, {LONGEST_MESSAGE} bytes"
            ),
            "give a shorter text, or use shared memory: without --object",
        ));
    }
    let most = parameter("kernel/msgmax").filter(|most| size > *most)?;
    Some(Diagnosis::new(
        format!("a message of {size} bytes exceeds kernel.msgmax of this namespace, {most} bytes"),
        format!("give a shorter text, or raise it; {}", raise("kernel.msgmax", "BYTES")),
    ))
}

fn queue_full(size: u64) -> Diagnosis {
    match parameter("kernel/msgmnb").filter(|most| size > *most) {
        Some(most) => Diagnosis::new(
            format!(
                "a message of {size} bytes exceeds what a new queue can hold: kernel.msgmnb of \
                 this namespace is {most} bytes"
            ),
            format!(
                "give a shorter text, or raise it, remove the queue (--remove) and write again; {}",
                raise("kernel.msgmnb", "BYTES")
            ),
        ),
        None => Diagnosis::new(
            "the queue is full: another process sent to it, or it was created for fewer bytes",
            "try again, or remove the queue first (--remove)",
        ),
    }
}

fn queue_attributes(size: u64) -> Option<Diagnosis> {
    if size > LARGEST_QUEUED {
        return Some(Diagnosis::new(
            format!(
                "{size} bytes exceed the largest message of a POSIX queue, {LARGEST_QUEUED} bytes"
            ),
            "give a smaller --size, or use shared memory: --posix NAME",
        ));
    }
    // The other limit, msg_max, is at least 1, and the tools create queues for one message.
    let most = parameter("fs/mqueue/msgsize_max").filter(|most| size > *most)?;
    Some(Diagnosis::new(
        format!("{size} bytes exceed fs.mqueue.msgsize_max of this namespace, {most} bytes"),
        format!("give --size {most}, or raise it; {}", raise("fs.mqueue.msgsize_max", "BYTES")),
    ))
}

fn queue_bytes(size: u64) -> Diagnosis {
    let limit = getrlimit(Resource::Msgqueue).current;
    let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| format!("{limit} bytes"));
    Diagnosis::new(
        format!(
            "a queue for {size} bytes, with the other queues of user {} in all IPC namespaces, \
             exceeds RLIMIT_MSGQUEUE, {limit}",
            geteuid().as_raw()
        ),
        format!(
            "remove queues of this user, give a smaller --size, or raise it; ulimit -q; {}",
            words(Change::QueueBytes, Place::current().engine)
        ),
    )
}
