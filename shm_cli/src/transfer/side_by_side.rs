//! A regular file read into a segment by several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use shm_core::WritableAttachment;
use shm_core::attachment::Advice;

use super::sink::Sink;
use super::{Filled, Task, TransferError};
use crate::progress::Progress;

/// How many bytes a thread reads at once: as many as one page of the page table maps on most machines. Threads that
/// share such a page wait for each other.
const PIECE: u64 = 2 * 1024 * 1024;
/// What is moved passes through the memory of the machine, which more threads do not make faster.
const MOST_THREADS: usize = 4;

/// The pieces that were read.
struct Done<'a> {
    progress: &'a mut Progress,
    bytes: u64,
    /// Of the first piece in which the text ended: its start, and how.
    ended: Option<(u64, Result<Filled, TransferError>)>,
}

/// Moves what `task` says into the segment. Returns where the text ended; `None` if it fills the room.
pub(super) fn fill(
    task: &Task,
    attachment: &WritableAttachment,
    progress: &mut Progress,
) -> Result<Option<Filled>, TransferError> {
    let expected = task.expected_end - task.room.start;
    if expected >= PIECE {
        // All of it: the kernel would split the mapping otherwise, and count each part as an attachment.
        attachment.advise(0..attachment.size(), Advice::HugePages);
    }
    let claimed = AtomicU64::new(task.room.start);
    let done = Mutex::new(Done { progress, bytes: task.room.start, ended: None });
    let work = || read_pieces(task, &claimed, &done);
    let processors = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    thread::scope(|scope| {
        for _ in 1..expected.div_ceil(PIECE).min(processors as u64) {
            // Where there may be no more threads it goes on with fewer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let ended = done.into_inner().unwrap_or_else(PoisonError::into_inner).ended;
    ended.map(|(_, outcome)| outcome).transpose()
}

/// Reads one piece after another that no other thread has begun.
fn read_pieces(task: &Task, claimed: &AtomicU64, done: &Mutex<Done>) {
    let mut sink = Sink::of(task.memory);
    let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let start = claimed.fetch_add(PIECE, Ordering::Relaxed);
        let piece = start..task.room.end.min(start.saturating_add(PIECE));
        let is_behind_the_end = |(first, _): &(u64, _)| *first < start;
        if piece.is_empty() || lock().ended.as_ref().is_some_and(is_behind_the_end) {
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
