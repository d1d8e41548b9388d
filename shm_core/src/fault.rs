//! Segments whose memory the kernel cannot give.
//!
//! Whoever makes a segment of huge pages with `SHM_NORESERVE` need not have any: it is found out when
//! a page is touched. A system call answers EFAULT then, an access of this process is SIGBUS, which
//! ends it without a word unless it has some ready. A handler cannot go on behind the access; to have
//! the kernel copy instead would make a system call of every access and leave out frames, of which
//! each word counts.
//!
//! POSIX objects and files are not mapped: what is wrong with them is an [`Error::File`](crate::Error).

use crate::sys::{self, LastWords};
use crate::{Diagnosis, Failure, Key};

/// What is said where a page of the segment that `key` names cannot be had.
#[must_use]
pub fn failure(key: Key) -> Failure {
    let Diagnosis { cause, hint } = diagnosis("SIGBUS");
    Failure::new(format!("a page of the segment with key {key} cannot be had"), cause, hint)
}

pub(crate) fn diagnosis(answer: &str) -> Diagnosis {
    Diagnosis::new(
        format!("the kernel answered an access to its memory with {answer}: it has no page for it"),
        "if the segment is of huge pages, let the machine have some (sysctl vm.nr_hugepages), or have \
         it made without SHM_HUGETLB",
    )
}

/// Has this process write `stderr` and `stdout` and exit with `status` where a page of a segment
/// cannot be had. Each call takes memory for good: it is for the start of a program.
pub fn end_with(stdout: Vec<u8>, stderr: Vec<u8>, status: u8) {
    sys::end_on_bus_error(LastWords { stdout, stderr, status });
}
