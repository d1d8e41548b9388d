//! Runs tasks in parallel.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::process::interrupt::Interrupt;

/// The state of the tasks.
struct TaskQueue<R, E> {
    begun: usize,
    done: Vec<(usize, R)>,
    failed: Option<E>,
}

/// Calls `work` for each of `items`, `at_once` of them in parallel. Returns the results in the
/// items' order. Starts no item after a signal. Fails with the first error, and starts no item
/// after it.
pub(crate) fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    at_once: usize,
    interrupt: &Interrupt,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let queue = Mutex::new(TaskQueue { begun: 0, done: vec![], failed: None });
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let mut queue = lock();
        let goes_on = queue.failed.is_none() && interrupt.signal().is_none();
        let item = items.get(queue.begun).filter(|_| goes_on)?;
        queue.begun += 1;
        Some((queue.begun - 1, item))
    };
    let work_on = || {
        while let Some((index, item)) = next() {
            match work(item) {
                Ok(result) => lock().done.push((index, result)),
                Err(error) => drop(lock().failed.get_or_insert(error)),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..at_once.min(items.len()) {
            // If a thread cannot be created, the others do the work.
            let _ = thread::Builder::new().spawn_scoped(scope, work_on);
        }
        work_on();
    });
    let TaskQueue { mut done, failed, .. } =
        queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    failed.map_or_else(|| Ok(done.into_iter().map(|(_, result)| result).collect()), Err)
}
