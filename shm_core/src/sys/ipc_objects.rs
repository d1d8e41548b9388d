//! The calls for semaphores and message queues of System V, and message queues of POSIX.

use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::check;
use crate::Errno;

/// `semget(2)`.
pub(crate) fn semget(key: i32, count: i32, flags: i32) -> Result<i32, Errno> {
    // SAFETY: semget takes three integers and accesses no memory of this process.
    check(unsafe { libc::semget(key, count, flags) })
}

/// `semctl(GETVAL)`: the value of one semaphore of a set.
pub(crate) fn semaphore_value(id: i32, number: i32) -> Result<i32, Errno> {
    // SAFETY: GETVAL returns the value and ignores the fourth argument, which may be left out.
    check(unsafe { libc::semctl(id, number, libc::GETVAL) })
}

/// `semctl(SETVAL)`.
pub(crate) fn set_semaphore_value(id: i32, number: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: SETVAL takes the `int val` of `union semun` by value, not a pointer.
    check(unsafe { libc::semctl(id, number, libc::SETVAL, value) }).map(drop)
}

/// `semctl(GETPID)`: the process that last changed one semaphore of a set; 0 if it has no id in
/// this process's pid namespace.
pub(crate) fn semaphore_pid(id: i32, number: i32) -> Result<i32, Errno> {
    // SAFETY: GETPID returns the process id and ignores the fourth argument.
    check(unsafe { libc::semctl(id, number, libc::GETPID) })
}

/// `semtimedop(2)`: does all operations at once. Waits at most `limit` until they are possible.
pub(crate) fn semtimedop(
    id: i32,
    operations: &mut [libc::sembuf],
    limit: Duration,
) -> Result<(), Errno> {
    unsafe extern "C" {
        // As in sys/sem.h of glibc and of musl; libc lacks it.
        fn semtimedop(
            id: libc::c_int,
            operations: *mut libc::sembuf,
            count: libc::size_t,
            limit: *const libc::timespec,
        ) -> libc::c_int;
    }
    let limit = libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    let (first, count) = (operations.as_mut_ptr(), operations.len());
    // SAFETY: the kernel reads `count` operations, which the slice has, and the time, which is
    // live. It changes only semaphores, which are not in the memory of this process.
    check(unsafe { semtimedop(id, first, count, &raw const limit) }).map(drop)
}

/// `semctl(IPC_RMID)`.
pub(crate) fn remove_semaphores(id: i32) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the number and the fourth argument.
    check(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

/// The maximum length of a message in bytes: the default of `kernel.msgmax`.
pub(crate) const LONGEST_MESSAGE: usize = 8192;

/// `struct msgbuf` of `msgop(2)`.
#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; LONGEST_MESSAGE],
}

/// `msgget(2)`.
pub(crate) fn msgget(key: i32, flags: i32) -> Result<i32, Errno> {
    // SAFETY: msgget takes two integers and accesses no memory of this process.
    check(unsafe { libc::msgget(key, flags) })
}

/// `msgsnd(2)` without waiting. Fails with `EINVAL` if the text is longer than `kernel.msgmax`.
pub(crate) fn msgsnd(id: i32, text: &[u8]) -> Result<(), Errno> {
    const WORD: usize = size_of::<libc::c_long>();
    // A `struct msgbuf` of the length of the text, as words, so that its type is aligned.
    let mut message = vec![1];
    message.extend(text.chunks(WORD).map(|chunk| {
        let mut word = [0; WORD];
        word[..chunk.len()].copy_from_slice(chunk);
        libc::c_long::from_ne_bytes(word)
    }));
    // SAFETY: the kernel reads the type, which is the first word, and the next `text.len()` bytes,
    // which are in the other words.
    let sent = unsafe { libc::msgsnd(id, message.as_ptr().cast(), text.len(), libc::IPC_NOWAIT) };
    check(sent).map(drop)
}

/// `msgrcv(2)` without waiting. Fails with `E2BIG` if the message is longer than
/// [`LONGEST_MESSAGE`]. With `copy`, the message stays in the queue.
pub(crate) fn msgrcv(id: i32, copy: bool) -> Result<Vec<u8>, Errno> {
    let mut message = Box::new(Message { kind: 0, text: [0; LONGEST_MESSAGE] });
    let flags = libc::IPC_NOWAIT | if copy { libc::MSG_COPY } else { 0 };
    // With MSG_COPY, the type 0 is the index of the first message. Without, it means any type.
    // SAFETY: the kernel writes the type, and after it at most as many bytes as `text` has.
    let received =
        unsafe { libc::msgrcv(id, (&raw mut *message).cast(), LONGEST_MESSAGE, 0, flags) };
    let length = usize::try_from(received).map_err(|_| Errno::last())?;
    Ok(message.text[..length].to_vec())
}

/// `msgctl(IPC_RMID)`.
pub(crate) fn remove_queue(id: i32) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the buffer.
    check(unsafe { libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// `mq_open(3)` for sending and receiving without waiting. With a mode and a size, creates a queue
/// for one message of at most `size` bytes, which must not exist yet.
pub(crate) fn mq_open(name: &CStr, create: Option<(u32, i64)>) -> Result<File, Errno> {
    let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let queue = match create {
        // SAFETY: `name` ends with a NUL and is live. Without O_CREAT, no other arguments follow.
        None => unsafe { libc::mq_open(name.as_ptr(), flags) },
        Some((mode, size)) => {
            // SAFETY: zero is a valid value for a structure of integers.
            let mut attributes: libc::mq_attr = unsafe { MaybeUninit::zeroed().assume_init() };
            attributes.mq_maxmsg = 1;
            attributes.mq_msgsize = size as _;
            let flags = flags | libc::O_CREAT | libc::O_EXCL;
            // SAFETY: as above. With O_CREAT, a mode and a pointer to live attributes follow.
            unsafe { libc::mq_open(name.as_ptr(), flags, mode, &raw const attributes) }
        }
    };
    let fd = check(queue)?;
    // SAFETY: on Linux, the descriptor of a queue is a file descriptor. The call just returned it,
    // so nothing else owns it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `mq_send(3)`.
pub(crate) fn mq_send(queue: &File, text: &[u8]) -> Result<(), Errno> {
    // SAFETY: the descriptor is open while `queue` is borrowed, and the bytes are live.
    check(unsafe { libc::mq_send(queue.as_raw_fd(), text.as_ptr().cast(), text.len(), 0) })
        .map(drop)
}

/// `mq_getattr(3)`: the maximum length of a message of the queue in bytes.
pub(crate) fn mq_message_size(queue: &File) -> Result<usize, Errno> {
    // SAFETY: zero is a valid value for a structure of integers.
    let mut attributes: libc::mq_attr = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the descriptor is open while `queue` is borrowed, and the structure is live.
    check(unsafe { libc::mq_getattr(queue.as_raw_fd(), &raw mut attributes) })?;
    usize::try_from(attributes.mq_msgsize).map_err(|_| Errno::EINVAL)
}

/// `mq_receive(3)`, into a buffer for the longest message of the queue.
pub(crate) fn mq_receive(queue: &File) -> Result<Vec<u8>, Errno> {
    let size = mq_message_size(queue)?;
    let mut text = vec![0_u8; size];
    let buffer = text.as_mut_ptr().cast();
    // SAFETY: the buffer is live and has `size` bytes. The kernel writes at most so many.
    let received = unsafe { libc::mq_receive(queue.as_raw_fd(), buffer, size, ptr::null_mut()) };
    text.truncate(usize::try_from(received).map_err(|_| Errno::last())?);
    Ok(text)
}

/// `mq_unlink(3)`.
pub(crate) fn mq_unlink(name: &CStr) -> Result<(), Errno> {
    // SAFETY: `name` ends with a NUL and is live.
    check(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}
