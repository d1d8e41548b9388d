//! The memory of a program that lives for a millisecond.
//!
//! Half of what a tool did was `malloc` and `free`: its command line is built from some hundred small
//! pieces, of which none is missed before the program ends. An arena hands them out of one block, one
//! behind the other, and takes back only the last one. What does not fit is the system's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The command line of the largest of the tools takes 30 KiB. Pages that nobody touches cost nothing.
const SIZE: usize = 64 * 1024;
/// The largest that the arena's own start is sure to have.
const MOST_ALIGNED: usize = 4096;

#[repr(C, align(4096))]
struct Block(UnsafeCell<MaybeUninit<[u8; SIZE]>>);

/// An allocator that gives out one block from its start to its end, and the system's memory for what
/// does not fit there. It is not moved while anything of it is used.
pub struct Arena {
    block: Block,
    /// Where what is given out ends. Whoever moves it forward owns what lies between. Each change
    /// releases and acquires: what the last owner did to the bytes comes before what the next one does.
    used: AtomicUsize,
}

// SAFETY: the block's bytes are reached only through pointers that the allocator gives out, each for
// bytes that are nobody else's.
unsafe impl Sync for Arena {}

impl Arena {
    /// With nothing given out.
    #[must_use]
    pub const fn new() -> Self {
        let block = Block(UnsafeCell::new(MaybeUninit::uninit()));
        Self { block, used: AtomicUsize::new(0) }
    }

    /// Where in the block something is that was given out; `None` for what is the system's.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        let offset = pointer.addr().wrapping_sub(self.block.0.get().addr());
        (offset < SIZE).then_some(offset)
    }

    /// Changes where what was given out ends, unless something was given out behind `end`.
    fn move_end(&self, end: usize, new: usize) -> bool {
        let moved = self.used.compare_exchange(end, new, Ordering::AcqRel, Ordering::Relaxed);
        moved.is_ok()
    }

    /// Takes bytes out of the block, where it has as many left.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.align() > MOST_ALIGNED {
            return None;
        }
        loop {
            let used = self.used.load(Ordering::Relaxed);
            // Neither overflows, for both are at most the block's size.
            let start = (used + layout.align() - 1) & !(layout.align() - 1);
            let end = start.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            if self.move_end(used, end) {
                return Some(self.block.0.get().cast::<u8>().wrapping_add(start));
            }
        }
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: what `take` gives out is inside the block, which outlives its users and stays where it is, as
// a static does, aligned, for the block is to MOST_ALIGNED and no layout asks it for more, and
// overlaps nothing that is given out: `used` only moves back over what is given back. Whatever is
// outside of the block is the system's, before and after.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller vouches that the size is not zero.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(pointer) = self.take(layout) else {
            // SAFETY: the caller vouches that the size is not zero.
            return unsafe { System.alloc_zeroed(layout) };
        };
        // SAFETY: so many bytes from there on are nobody else's.
        unsafe { pointer.write_bytes(0, layout.size()) };
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            // The last one is given out again; of the others the block's end is the end.
            Some(offset) => drop(self.move_end(offset + layout.size(), offset)),
            // SAFETY: it is not in the block, so it came from the system, with the same layout.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(pointer) else {
            // SAFETY: it is not in the block, so it came from the system, with the same layout.
            return unsafe { System.realloc(pointer, layout, size) };
        };
        let end = offset.checked_add(size).filter(|end| *end <= SIZE);
        if end.is_some_and(|end| self.move_end(offset + layout.size(), end)) {
            return pointer;
        }
        if size <= layout.size() {
            // What is behind its new end is lost, and no more than that.
            return pointer;
        }
        // SAFETY: the caller vouches that the size, rounded up to the alignment, is no more than
        // an `isize` has.
        let layout_of_new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller vouches that the size is not zero.
        let new = unsafe { self.alloc(layout_of_new) };
        if !new.is_null() {
            // SAFETY: the new one has more bytes, which were nobody's before.
            unsafe { new.copy_from_nonoverlapping(pointer, layout.size()) };
            // SAFETY: it is live, of that layout, and not used any more.
            unsafe { self.dealloc(pointer, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};
    use std::ops::Range;
    use std::sync::Barrier;
    use std::thread;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Arena, SIZE};

    /// What is given out, with the byte that each of it was filled with.
    #[derive(Default)]
    struct Live(Vec<(*mut u8, Layout, u8)>);

    /// What is asked of an arena; numbers choose among what is live.
    #[derive(Clone, Debug)]
    enum Ask {
        For(Layout),
        ForZeros(Layout),
        Resize(usize, usize),
        TakeBack(usize),
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let layout = || {
            let sizes = prop_oneof![9 => 1..600_usize, 1 => 1..SIZE + 9];
            (sizes, 0..14_u32)
                .prop_map(|(size, shift)| Layout::from_size_align(size, 1 << shift).unwrap())
        };
        prop_oneof![
            4 => layout().prop_map(Ask::For),
            1 => layout().prop_map(Ask::ForZeros),
            3 => (any::<usize>(), 1..2000_usize).prop_map(|(which, size)| Ask::Resize(which, size)),
            // The last one is the one that is taken back.
            2 => prop_oneof![any::<usize>(), Just(usize::MAX)].prop_map(Ask::TakeBack),
        ]
    }

    impl Live {
        /// Does as asked, and fills what is new.
        fn after(&mut self, arena: &Arena, ask: &Ask, fill: u8) {
            match *ask {
                // SAFETY: no size is zero.
                Ask::For(layout) => self.0.push((unsafe { arena.alloc(layout) }, layout, fill)),
                Ask::ForZeros(layout) => {
                    // SAFETY: no size is zero.
                    self.0.push((unsafe { arena.alloc_zeroed(layout) }, layout, 0));
                    self.check();
                    self.0.last_mut().unwrap().2 = fill;
                }
                Ask::Resize(which, size) => {
                    let Some((pointer, layout, old)) = self.pick(which) else { return };
                    // SAFETY: it is live, of that layout, and the new size is not zero.
                    let pointer = unsafe { arena.realloc(pointer, layout, size) };
                    let kept = Layout::from_size_align(size.min(layout.size()), layout.align());
                    self.0.push((pointer, kept.unwrap(), old));
                    self.check();
                    let layout = Layout::from_size_align(size, layout.align()).unwrap();
                    *self.0.last_mut().unwrap() = (pointer, layout, fill);
                }
                Ask::TakeBack(which) => {
                    let Some((pointer, layout, _)) = self.pick(which) else { return };
                    // SAFETY: it was live until now, of that layout.
                    unsafe { arena.dealloc(pointer, layout) };
                    return;
                }
            }
            let Some((pointer, layout, fill)) = self.0.last() else { return };
            // SAFETY: it was just given out, with so many bytes.
            unsafe { pointer.write_bytes(*fill, layout.size()) };
        }

        fn pick(&mut self, which: usize) -> Option<(*mut u8, Layout, u8)> {
            let last = self.0.len().checked_sub(1)?;
            Some(self.0.remove(if which == usize::MAX { last } else { which % self.0.len() }))
        }

        /// Everything is where its layout wants it, and has what it was filled with.
        fn check(&self) {
            for (pointer, layout, fill) in &self.0 {
                assert!(!pointer.is_null() && pointer.addr().is_multiple_of(layout.align()));
                // SAFETY: it is live, was filled, and nobody has a reference to change it with.
                let bytes = unsafe { std::slice::from_raw_parts(*pointer, layout.size()) };
                assert!(bytes.iter().all(|byte| byte == fill), "{pointer:?} {layout:?}");
            }
        }

        fn end(mut self, arena: &Arena) {
            self.check();
            while !self.0.is_empty() {
                self.after(arena, &Ask::TakeBack(usize::MAX), 0);
            }
        }
    }

    fn follow(arena: &Arena, asks: &[Ask], fills: Range<u8>) {
        let mut live = Live::default();
        for (ask, fill) in asks.iter().zip(fills.cycle()) {
            live.after(arena, ask, fill);
            live.check();
        }
        live.end(arena);
    }

    proptest! {
        #[test]
        fn what_is_given_out_is_aligned_and_nobody_elses(asks in vec(ask(), 0..60)) {
            follow(&Arena::new(), &asks, 1..u8::MAX);
        }

        #[test]
        fn threads_are_not_given_the_same(all in vec(vec(ask(), 0..30), 4)) {
            let arena = Arena::new();
            let start = Barrier::new(all.len());
            thread::scope(|scope| {
                // None fills with what another one fills with.
                for (asks, first) in all.iter().zip((1..).step_by(50)) {
                    let (arena, start) = (&arena, &start);
                    scope.spawn(move || {
                        start.wait();
                        follow(arena, asks, first..first + 50);
                    });
                }
            });
        }
    }

    #[test]
    fn the_last_one_grows_in_place_and_is_given_out_again() {
        let arena = Arena::new();
        let layout = Layout::new::<[u8; 100]>();
        // SAFETY: the size is not zero.
        let first = unsafe { arena.alloc(layout) };
        // SAFETY: it is live, and the new size is not zero.
        let grown = unsafe { arena.realloc(first, layout, 200) };
        assert_eq!(grown, first);
        // SAFETY: the size is not zero.
        let behind = unsafe { arena.alloc(layout) };
        // SAFETY: it is live, of that layout, and the new size is not zero.
        let shrunk = unsafe { arena.realloc(grown, Layout::new::<[u8; 200]>(), 50) };
        assert_eq!(shrunk, first);
        // SAFETY: it was live until now, of that layout.
        unsafe { arena.dealloc(behind, layout) };
        // SAFETY: the size is not zero.
        let again = unsafe { arena.alloc(layout) };
        assert_eq!(again, behind);
    }
}
