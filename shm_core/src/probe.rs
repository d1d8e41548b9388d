//! Calls that name no object, which show whether something refuses a call whatever it is about.

use std::fs::{self, File};
use std::time::Duration;

use crate::{Errno, sys};

/// Makes a call with arguments for which the kernel finds no object, and returns its errno. Returns
/// `None` for a call that this function does not know.
///
/// The kernel checks permissions, and asks security modules, after it has found an object. So `EPERM`
/// or `EACCES` come from something that refuses the call itself, as a seccomp filter does. The call
/// changes nothing.
#[must_use]
pub fn errno_without_object(call: &str) -> Option<Errno> {
    /// No object has this id.
    const NO_ID: i32 = -1;
    /// The kernel sees the empty name: the C library removes the slash.
    const NO_NAME: &std::ffi::CStr = c"/";
    let answer = match call {
        // A segment of 0 bytes and a set of -1 semaphores are refused before anything is created.
        "shmget" => sys::shmget(libc::IPC_PRIVATE, 0, 0).map(drop),
        "semget" => sys::semget(libc::IPC_PRIVATE, -1, 0).map(drop),
        "shmat" => sys::shmat(NO_ID, libc::SHM_RDONLY).map(drop),
        "shmctl" => sys::shm_stat(NO_ID).map(drop),
        "semctl" => sys::semaphore_value(NO_ID, 0).map(drop),
        "semtimedop" => {
            let mut wait = [libc::sembuf { sem_num: 0, sem_op: 0, sem_flg: 0 }];
            sys::semtimedop(NO_ID, &mut wait, Duration::ZERO)
        }
        // No invalid argument exists for msgget: this finds a queue only if another program has
        // chosen the same key.
        "msgget" => sys::msgget(i32::MIN + 0x5eed, 0).map(drop),
        "msgsnd" => sys::msgsnd(NO_ID, b""),
        "msgrcv" => sys::msgrcv(NO_ID, false).map(drop),
        "msgctl" => sys::remove_queue(NO_ID),
        "mq_open" => sys::mq_open(NO_NAME, None).map(drop),
        "mq_unlink" => sys::mq_unlink(NO_NAME),
        "open" | "shm_open" => File::open("").map(drop).map_err(|error| Errno::from_io(&error)),
        "unlink" | "shm_unlink" => fs::remove_file("").map_err(|error| Errno::from_io(&error)),
        _ => return None,
    };
    answer.err()
}

#[cfg(test)]
mod tests {
    use super::errno_without_object;
    use crate::Errno;

    #[test]
    fn no_call_without_an_object_is_refused_where_nothing_filters() {
        let calls = [
            "shmget",
            "semget",
            "shmat",
            "shmctl",
            "semctl",
            "semtimedop",
            "msgget",
            "msgsnd",
            "msgrcv",
            "msgctl",
            "mq_open",
            "mq_unlink",
            "open",
            "unlink",
        ];
        for call in calls {
            let errno = errno_without_object(call).unwrap();
            assert!([Errno::EINVAL, Errno::ENOENT].contains(&errno), "{call}: {errno}");
        }
        assert_eq!(errno_without_object("fchmod"), None);
    }
}
