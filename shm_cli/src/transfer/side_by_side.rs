//! Several threads that read a regular file into a segment.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use shm_core::WritableAttachment;
use shm_core::attachment::Advice;

use super::sink::Sink;
use super::{Filled, Task, TransferError};
use crate::progress::Progress;

/// The number of bytes that a thread reads at once. One page of the page table maps as many on most
/// machines, and threads that share such a page wait for each other.
const PIECE: u64 = 2 * 1024 * 1024;
/// More threads are not faster: the memory of the machine is the limit.
const MAX_THREADS: usize = 4;

/// The progress of all threads.
struct Done<'a> {
    progress: &'a mut Progress,
    bytes: u64,
    /// The start of the first piece that did not fill, and its outcome.
    ended: Option<(u64, Result<Filled, TransferError>)>,
}

/// Executes `task`. Returns the end of the text, or `None` if it fills the room.
pub(super) fn fill(
    task: &Task,
    attachment: &WritableAttachment,
    progress: &mut Progress,
) -> Result<Option<Filled>, TransferError> {
    let expected = task.expected_end - task.room.start;
    if expected >= PIECE {
        // Advice for a part would make the kernel split the mapping and count each part as an
        // attachment.
        attachment.advise(0..attachment.size(), Advice::HugePages);
    }
    let claimed = AtomicU64::new(task.room.start);
    let done = Mutex::new(Done { progress, bytes: task.room.start, ended: None });
    let work = || read_pieces(task, &claimed, &done);
    let processors = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    thread::scope(|scope| {
        for _ in 1..expected.div_ceil(PIECE).min(processors as u64) {
            // If a limit allows no more threads, fewer do the work.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let ended = done.into_inner().unwrap_or_else(PoisonError::into_inner).ended;
    ended.map(|(_, outcome)| outcome).transpose()
}

/// Reads pieces that no other thread has claimed.
fn read_pieces(task: &Task, claimed: &AtomicU64, done: &Mutex<Done>) {
    let mut sink = Sink::of(task.memory);
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let start = claimed.fetch_add(PIECE, Ordering::Relaxed);
        let piece = start..task.room.end.min(start.saturating_add(PIECE));
        let is_after_the_end = |(first, _): &(u64, _)| *first < start;
        if piece.is_empty() || lock().ended.as_ref().is_some_and(is_after_the_end) {
            return;
        }
        let outcome = task.move_piece(&mut sink, &piece, None);
        let mut done = lock();
        if outcome.as_ref().is_ok_and(|filled| filled.end == piece.end) {
            done.bytes += piece.end - piece.start;
            let bytes = done.bytes;
            done.progress.reached(bytes);
        } else if done.ended.as_ref().is_none_or(|(first, _)| start < *first) {
            done.ended = Some((start, outcome));
        }
    }
}
