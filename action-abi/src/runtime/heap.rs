//! The allocator: a bump pointer in the image's own page, and behind it `talc` in the heap window.
//!
//! ```text
//! arena, in .bss (ARENA_LEN)            heap window (Context::heap)
//! │ small actions never get further │ → │ claimed as it is needed │ demand-zero, never touched │
//! ```
//!
//! Most invocations are short and their memory is taken back whole, so the arena has no free lists:
//! freeing or resizing its *most recent* block moves the pointer, which covers what short programs
//! do most: temporary strings, and one vector that grows. It shares a page with the action's other
//! writable statics, so an action that allocates little never touches the heap window, which saves
//! it a page fault, a page and its page tables; nor does it run an instruction of `talc`.
//!
//! An action that outgrows the arena is one that may churn. From there on blocks are `talc`'s, and
//! what was freed is used again. The window is given to it piece by piece: it writes to both ends
//! of what it has, and memory that nobody claimed is zero and costs nothing.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull};

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;
use talc::{DefaultBinning, TalcCell, min_first_heap_size};

use super::context;
use crate::{PAGE_LEN, Range};

/// Bytes served from the image's own writable page before the heap window is touched. Leaves a
/// quarter of that page to other statics.
pub const ARENA_LEN: usize = 3 * PAGE_LEN / 4;

/// The heap window grows by this part of what is claimed of it, or by what is asked for: few
/// claims, and few pages that are touched for no other reason.
const GROWTH_DIVISOR: usize = 8;

/// A run of addresses, used from the bottom up. Only arithmetic: it never looks at the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bump {
    /// First usable address.
    start: usize,
    /// Where the next block may start.
    next: usize,
    /// One past the last usable address.
    end: usize,
    /// No block ever reached further up: memory from here on is still zero.
    untouched: usize,
}

impl Bump {
    const EMPTY: Self = Self::new(0, 0);

    const fn new(start: usize, len: usize) -> Self {
        Self { start, next: start, end: start.saturating_add(len), untouched: start }
    }

    /// Whether this is the most recent block of this run. (A block of an earlier run that happens
    /// to lie right below this one is not.)
    fn is_last(&self, address: usize, len: usize) -> bool {
        address >= self.start && address + len == self.next
    }

    /// Moves the end of the used part, if that stays within the run.
    fn advance_to(&mut self, next: usize) -> Option<()> {
        if next > self.end {
            return None;
        }
        self.next = next;
        self.untouched = self.untouched.max(next);
        Some(())
    }

    /// Takes a block; returns its address, or `None` if the run is too short.
    fn take(&mut self, layout: Layout) -> Option<usize> {
        // A power of two: no division.
        let mask = layout.align() - 1;
        let address = self.next.checked_add(mask)? & !mask;
        self.advance_to(address.checked_add(layout.size())?)?;
        Some(address)
    }

    /// Takes a block back if it is the most recent one; forgets it otherwise.
    fn give_back(&mut self, address: usize, len: usize) {
        if self.is_last(address, len) {
            self.next = address;
        }
    }

    /// Makes a block longer or shorter where it is; `None` if it has to move.
    fn resize(&mut self, address: usize, len: usize, new_len: usize) -> Option<()> {
        if self.is_last(address, len) {
            self.advance_to(address.checked_add(new_len)?)
        } else {
            (new_len <= len).then_some(())
        }
    }
}

/// The heap window, as `talc` comes by it.
#[derive(Debug)]
struct Window {
    /// The window, or `None` for the one that the context names.
    range: Option<Range>,
    /// One past what is claimed.
    end: Option<NonNull<u8>>,
}

// SAFETY: `acquire` uses the allocator it is handed, and nothing else that allocates.
unsafe impl Source for Window {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let window = talc.source.range.unwrap_or_else(heap_window);
        let (start, len) = (window.address as usize, window.len as usize);
        let claimed = talc.source.end.map_or(0, |end| end.addr().get() - start);
        // What the allocator needs for itself is no more than what it needs at first.
        let wanted = layout.size().checked_add(layout.align()).ok_or(())?;
        let wanted = wanted.checked_add(min_first_heap_size::<DefaultBinning>()).ok_or(())?;
        let wanted = wanted.max(claimed / GROWTH_DIVISOR).checked_next_multiple_of(PAGE_LEN);
        let new_len = claimed.checked_add(wanted.ok_or(())?).ok_or(())?.min(len);
        let first = ptr::with_exposed_provenance_mut::<u8>(start);
        let end = match talc.source.end {
            // SAFETY: the window is the action's to use, and nobody else does.
            None => unsafe { talc.claim(first, new_len) }.ok_or(())?,
            // SAFETY: as above; it has been claimed up to there, and only from here.
            Some(end) => unsafe { talc.extend(end, first.wrapping_add(new_len)) },
        };
        // Without more memory `talc` would ask for ever.
        match talc.source.end.replace(end) == Some(end) {
            true => Err(()),
            false => Ok(()),
        }
    }
}

/// The global allocator of an action. [`support!`](crate::support) makes one.
pub struct Heap {
    bump: Cell<Bump>,
    arena: UnsafeCell<Arena>,
    beyond: TalcCell<Window>,
}

/// Aligned so that no small block wastes its first bytes.
#[repr(align(16))]
struct Arena(#[expect(dead_code, reason = "only its address is used")] [u8; ARENA_LEN]);

// SAFETY: an action has one thread, and nothing in the methods below calls back into them.
unsafe impl Sync for Heap {}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

impl Heap {
    /// A heap that has not used any memory.
    #[must_use]
    pub const fn new() -> Self {
        Self::within(None)
    }

    const fn within(range: Option<Range>) -> Self {
        Self {
            bump: Cell::new(Bump::EMPTY),
            arena: UnsafeCell::new(Arena([0; ARENA_LEN])),
            beyond: TalcCell::new(Window { range, end: None }),
        }
    }

    /// Takes a block of the arena. Returns it and how many of its first bytes may not be zero.
    fn take(&self, layout: Layout) -> Option<(*mut u8, usize)> {
        let mut bump = self.bump.get();
        if bump.end == 0 {
            // Its address is only known at run time.
            bump = Bump::new(self.arena.get().addr(), ARENA_LEN);
        }
        let untouched = bump.untouched;
        let address = bump.take(layout)?;
        self.bump.set(bump);
        let block = self.arena.get().cast::<u8>().with_addr(address);
        Some((block, untouched.saturating_sub(address)))
    }

    /// Whether a block is in the arena. Nothing is before it was used.
    fn is_in_arena(&self, block: *mut u8) -> bool {
        let bump = self.bump.get();
        (bump.start..bump.end).contains(&block.addr())
    }

    fn update<T>(&self, change: impl FnOnce(&mut Bump) -> T) -> T {
        let mut bump = self.bump.get();
        let result = change(&mut bump);
        self.bump.set(bump);
        result
    }

    /// Makes another block of what does not fit its place in the arena any more.
    ///
    /// # Safety
    /// As [`GlobalAlloc::realloc`].
    unsafe fn move_out(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        // SAFETY: the caller promises a length that can be rounded up to this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_len, layout.align()) };
        // SAFETY: the caller promises a length that is not zero.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: both blocks are live, distinct, and at least this long.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new_len)) };
            self.update(|bump| bump.give_back(block.addr(), layout.size()));
        }
        moved
    }
}

// SAFETY: `Bump` hands out disjoint, aligned ranges of the arena until they are given back, `talc`
// those of the window; whose a block is its address tells.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some((block, _)) => block,
            // SAFETY: the caller keeps the trait's contract.
            None => unsafe { self.beyond.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (block, used_before) = match self.take(layout) {
            Some(taken) => taken,
            // SAFETY: as above. What was never claimed is zero, but whether it was is `talc`'s.
            None => (unsafe { self.beyond.alloc(layout) }, layout.size()),
        };
        if !block.is_null() {
            // SAFETY: the block has `layout.size()` bytes, and is nobody else's.
            unsafe { block.write_bytes(0, used_before.min(layout.size())) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if self.is_in_arena(block) {
            self.update(|bump| bump.give_back(block.addr(), layout.size()));
        } else {
            // SAFETY: what is not in the arena came from there, with this layout.
            unsafe { self.beyond.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        if !self.is_in_arena(block) {
            // SAFETY: as above.
            return unsafe { self.beyond.realloc(block, layout, new_len) };
        }
        if self.update(|bump| bump.resize(block.addr(), layout.size(), new_len)).is_some() {
            return block;
        }
        // SAFETY: the caller keeps the trait's contract.
        unsafe { self.move_out(block, layout, new_len) }
    }
}

/// The heap window; empty in a program that the kernel did not start.
fn heap_window() -> Range {
    context::get().map_or(Range::default(), |context| context.heap)
}

#[cfg(test)]
mod tests;
