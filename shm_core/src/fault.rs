//! Pages of segments that the kernel cannot provide.
//!
//! `SHM_NORESERVE` lets a process create a segment of huge pages where there are none. The first access
//! finds that out: a system call fails with EFAULT, and an access of this process raises SIGBUS, whose
//! default action ends the process silently. A handler cannot skip the access, so it prints a message
//! that was prepared at the start, and exits. Letting the kernel copy instead would cost a system call
//! for each access, and frames need atomic access to single words.
//!
//! POSIX objects and files are not mapped. Their calls fail with [`Error::File`](crate::Error).

use crate::sys::{self, LastWords};
use crate::{Diagnosis, Failure, Key};

/// Returns the failure for a missing page of the segment that `key` names.
#[must_use]
pub fn failure(key: Key) -> Failure {
    let Diagnosis { cause, hint } = diagnosis("SIGBUS");
    Failure::new(format!("a page of the segment with key {key} is not available"), cause, hint)
}

pub(crate) fn diagnosis(answer: &str) -> Diagnosis {
    Diagnosis::new(
        format!("an access to its memory failed with {answer}: the kernel has no page for it"),
        "if the segment uses huge pages, provide some (sysctl vm.nr_hugepages), or create it without \
         SHM_HUGETLB",
    )
}

/// Makes this process write `stderr` and `stdout` and exit with `status` when it accesses a missing page
/// of a segment. Each call keeps its memory for good: call it once, at the start of a program.
pub fn end_with(stdout: Vec<u8>, stderr: Vec<u8>, status: u8) {
    sys::end_on_bus_error(LastWords { stdout, stderr, status });
}
