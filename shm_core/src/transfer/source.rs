//! What a stream is read from.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::landing::{Landing, read_fully};
use super::turns::Turns;
use super::{Interruption, Stop};
use crate::{Descriptor, Errno, sys};

/// A descriptor whose input begins at `start` of the memory.
pub(super) struct Source<'a> {
    descriptor: Descriptor<'a>,
    start: u64,
    order: Order,
}

enum Order {
    /// What has come is gone from there: those who read take turns.
    Turns(Turns<()>),
    /// A regular file, from this place on, with so many bytes when it was asked: each of its bytes
    /// can be read at any time.
    Any { from: u64, length: u64 },
}

/// A descriptor, and the place of its file where it is not read from where it stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) at: Option<u64>,
}

impl<'a> Source<'a> {
    pub(super) fn new(descriptor: Descriptor<'a>, start: u64) -> Self {
        // A file of the kernel's own has no bytes before it is read.
        let extent = descriptor.extent().filter(|extent| !extent.is_empty());
        let order = extent.map_or_else(
            || Order::Turns(Turns::new(start, ())),
            |Range { start, end }| Order::Any { from: start, length: end - start },
        );
        Self { descriptor, start, order }
    }

    /// How many bytes there are, where that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self.order {
            Order::Turns(_) => None,
            Order::Any { length, .. } => Some(length),
        }
    }

    /// Whether all can read at once.
    pub(super) fn is_in_any_order(&self) -> bool {
        matches!(self.order, Order::Any { .. })
    }

    /// Where the input for a place of the memory is.
    fn place(&self, in_memory: u64) -> Place<'a> {
        let at = match self.order {
            Order::Turns(_) => None,
            Order::Any { from, .. } => Some(from + (in_memory - self.start)),
        };
        Place { fd: self.descriptor.0, at }
    }

    /// Reads a piece, when its turn has come; `None` when it does not come.
    pub(super) fn take(
        &self,
        landing: &mut Landing,
        piece: &Range<u64>,
    ) -> Option<Result<u64, Errno>> {
        let place = self.place(piece.start);
        let Order::Turns(turns) = &self.order else { return Some(landing.take(place, piece)) };
        let mut turn = turns.wait(piece.start)?;
        let taken = landing.take(place, piece);
        let whole = taken == Ok(piece.end - piece.start);
        turn.pass(whole.then_some(piece.end));
        Some(taken)
    }

    /// Lets nobody read any more.
    pub(super) fn end(&self) {
        if let Order::Turns(turns) = &self.order {
            turns.end();
        }
    }

    /// Whether there is more input than there was room for, up to `end`.
    pub(super) fn beyond(&self, end: u64) -> Result<Stop, Interruption> {
        let Place { fd, at } = self.place(end);
        let more = read_fully(1, |_| sys::read_bytes(fd, at, &mut [0]));
        let more = more.map_err(|errno| Interruption::Descriptor(errno.into()))?;
        Ok(if more == 0 { Stop::Input } else { Stop::Room })
    }

    /// Has a regular file read next behind what came up to `end` of the memory.
    pub(super) fn leave_at(&self, end: u64) -> Result<(), Interruption> {
        let Some(place) = self.place(end).at else { return Ok(()) };
        self.descriptor.seek(place).map_err(Interruption::Descriptor)
    }
}
