//! Whose turn it is: what several threads do to the pieces of a stream, one after the other.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A stage that is passed in the order of the stream, with what belongs to it.
pub(super) struct Turns<T> {
    state: Mutex<State<T>>,
    passed: Condvar,
}

struct State<T> {
    /// Where the piece starts whose turn it is; `None` when no more is to pass.
    next: Option<u64>,
    value: T,
}

/// The right to do something to the stream.
pub(super) struct Turn<'a, T> {
    state: MutexGuard<'a, State<T>>,
    passed: &'a Condvar,
}

impl<T> Turns<T> {
    pub(super) fn new(start: u64, value: T) -> Self {
        Self { state: Mutex::new(State { next: Some(start), value }), passed: Condvar::new() }
    }

    /// Waits for the turn of the piece that starts there; `None` when it does not come.
    pub(super) fn wait(&self, start: u64) -> Option<Turn<'_, T>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State<T>| state.next.is_some_and(|next| next != start);
        let state = self.passed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.next.is_some().then(|| Turn { state, passed: &self.passed })
    }

    /// Lets no more pass.
    pub(super) fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).next = None;
        self.passed.notify_all();
    }

    pub(super) fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).value
    }
}

impl<T> Turn<'_, T> {
    /// Says whose turn comes when this one is dropped.
    pub(super) fn pass(&mut self, next: Option<u64>) {
        self.state.next = next;
        self.passed.notify_all();
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state.value
    }
}
