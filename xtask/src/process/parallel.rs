//! Many like tasks, a few at a time.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::process::interrupt::Interrupt;

/// How far the tasks are.
struct TaskQueue<R, E> {
    begun: usize,
    done: Vec<(usize, R)>,
    failed: Option<E>,
}

/// Does `work` for each of `items`, by index, `at_once` of them at the same time; the results are in
/// the items' order. Those that have not begun when a signal comes are left out.
///
/// # Errors
///
/// The first one; nothing is begun after it.
pub(crate) fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    at_once: usize,
    interrupt: &Interrupt,
    work: impl Fn(usize, &T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let progress = Mutex::new(TaskQueue { begun: 0, done: vec![], failed: None });
    let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let mut progress = lock();
        let goes_on = progress.failed.is_none() && interrupt.signal().is_none();
        let item = items.get(progress.begun).filter(|_| goes_on)?;
        progress.begun += 1;
        Some((progress.begun - 1, item))
    };
    let work_on = || {
        while let Some((index, item)) = next() {
            match work(index, item) {
                Ok(result) => lock().done.push((index, result)),
                Err(error) => drop(lock().failed.get_or_insert(error)),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..at_once.min(items.len()) {
            // Where there may be no more threads it goes on with fewer.
            let _ = thread::Builder::new().spawn_scoped(scope, work_on);
        }
        work_on();
    });
    let TaskQueue { mut done, failed, .. } =
        progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    failed.map_or_else(|| Ok(done.into_iter().map(|(_, result)| result).collect()), Err)
}
