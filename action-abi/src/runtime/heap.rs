//! The allocator: a bump pointer that can step back.
//!
//! ```text
//! arena, in .bss (ARENA_LEN)            heap window (Context::heap)
//! │ small actions never get further │ → │ everything after │ demand-zero, never touched │
//! ```
//!
//! An invocation is short and its memory is taken back whole, so there are no free lists. Freeing
//! or resizing the *most recent* block moves the pointer, which covers what short programs do most:
//! temporary strings, and one vector that grows. Any other freed block is lost until the end; a set
//! of growing vectors wastes at most as much as it holds. An allocator with free lists (`talc` was
//! considered) would cost every action kilobytes of code for the few that run long and churn.
//!
//! The arena shares a page with the action's other writable statics. An action that allocates
//! little thus never touches the heap window, which saves it a page fault, a page and its page
//! tables.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr;

use super::context;
use crate::Range;

/// Bytes served from the image's own writable page before the heap window is touched. Leaves a
/// quarter of that page to other statics.
pub const ARENA_LEN: usize = 3 * crate::PAGE_LEN / 4;

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
        let address = self.next.checked_next_multiple_of(layout.align())?;
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

/// Which run the heap is using up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// None yet: the arena's address is only known at run time.
    Unused,
    Arena,
    Window,
}

/// The global allocator of an action. [`support!`](crate::support) makes one.
pub struct Heap {
    run: Cell<Run>,
    bump: Cell<Bump>,
    arena: UnsafeCell<Arena>,
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
        Self {
            run: Cell::new(Run::Unused),
            bump: Cell::new(Bump::EMPTY),
            arena: UnsafeCell::new(Arena([0; ARENA_LEN])),
        }
    }

    /// Takes a block, moving on to the next run as needed. Returns it and how many of its first
    /// bytes may not be zero.
    fn take(&self, layout: Layout, window: Range) -> Option<(*mut u8, usize)> {
        loop {
            let mut bump = self.bump.get();
            let untouched = bump.untouched;
            if let Some(address) = bump.take(layout) {
                self.bump.set(bump);
                return Some((self.pointer(address), untouched.saturating_sub(address)));
            }
            self.next_run(window)?;
        }
    }

    /// Starts using the next run; `None` after the last.
    fn next_run(&self, window: Range) -> Option<()> {
        let (run, bump) = match self.run.get() {
            Run::Unused => (Run::Arena, Bump::new(self.arena.get().addr(), ARENA_LEN)),
            Run::Arena => (Run::Window, Bump::new(window.address as usize, window.len as usize)),
            Run::Window => return None,
        };
        self.run.set(run);
        self.bump.set(bump);
        Some(())
    }

    /// The pointer to an address in the run in use.
    fn pointer(&self, address: usize) -> *mut u8 {
        match self.run.get() {
            Run::Unused | Run::Arena => self.arena.get().cast::<u8>().with_addr(address),
            Run::Window => ptr::with_exposed_provenance_mut(address),
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Bump) -> T) -> T {
        let mut bump = self.bump.get();
        let result = change(&mut bump);
        self.bump.set(bump);
        result
    }
}

// SAFETY: `Bump` hands out disjoint, aligned ranges, within the arena or the window, until they are
// given back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout, heap_window()).map_or(ptr::null_mut(), |(block, _)| block)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((block, used_before)) = self.take(layout, heap_window()) else {
            return ptr::null_mut();
        };
        // SAFETY: the block has `layout.size()` bytes, and is nobody else's.
        unsafe { block.write_bytes(0, used_before.min(layout.size())) };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.update(|bump| bump.give_back(block.addr(), layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        if self.update(|bump| bump.resize(block.addr(), layout.size(), new_len)).is_some() {
            return block;
        }
        let Ok(new_layout) = Layout::from_size_align(new_len, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller promises a length that is not zero.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: both blocks are live, distinct, and at least this long.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new_len)) };
        }
        moved
    }
}

/// The heap window; empty in a program that the kernel did not start.
fn heap_window() -> Range {
    context::get().map_or(Range::default(), |context| context.heap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(len: usize, align: usize) -> Layout {
        Layout::from_size_align(len, align).expect("a power of two")
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let mut bump = Bump::new(4097, 4096);
        assert_eq!(bump.take(layout(3, 1)), Some(4097));
        assert_eq!(bump.take(layout(8, 8)), Some(4104));
        assert_eq!(bump.take(layout(1, 64)), Some(4160));
    }

    #[test]
    fn a_run_is_used_to_its_last_byte_and_not_beyond() {
        let mut bump = Bump::new(4096, 16);
        assert_eq!(bump.take(layout(17, 1)), None);
        assert_eq!(bump.take(layout(16, 1)), Some(4096));
        assert_eq!(bump.take(layout(1, 1)), None);
        assert_eq!(Bump::new(usize::MAX - 4, 100).take(layout(64, 64)), None);
        assert_eq!(Bump::new(0, 0).take(layout(1, 1)), None);
    }

    #[test]
    fn only_the_most_recent_block_is_taken_back() {
        let mut bump = Bump::new(4096, 64);
        let (first, second) = (bump.take(layout(16, 1)), bump.take(layout(16, 1)));
        assert_eq!((first, second), (Some(4096), Some(4112)));
        bump.give_back(4096, 16);
        assert_eq!(bump.next, 4128);
        bump.give_back(4112, 16);
        assert_eq!(bump.next, 4112);
    }

    #[test]
    fn a_block_right_below_the_run_is_not_its_own() {
        let mut bump = Bump::new(4096, 64);
        bump.give_back(4080, 16);
        assert_eq!(bump.next, 4096);
        assert_eq!(bump.resize(4080, 16, 17), None);
    }

    #[test]
    fn the_most_recent_block_grows_in_place_and_others_only_shrink() {
        let mut bump = Bump::new(4096, 64);
        bump.take(layout(16, 1)).expect("room");
        bump.take(layout(16, 1)).expect("room");
        assert_eq!(bump.resize(4096, 16, 17), None);
        assert_eq!(bump.resize(4096, 16, 8), Some(()));
        assert_eq!(bump.resize(4112, 16, 48), Some(()));
        assert_eq!(bump.resize(4112, 48, 49), None);
        assert_eq!(bump.resize(4112, 48, 1), Some(()));
        assert_eq!(bump.next, 4113);
    }

    /// Random work against a model: blocks stay inside the run, disjoint, aligned, and what
    /// `alloc_zeroed` relies on, that nothing above `untouched` was ever handed out, holds.
    #[test]
    fn random_work_keeps_blocks_apart() {
        const START: usize = 1 << 20;
        const LEN: usize = 1 << 14;
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |bound: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % bound
        };
        for _ in 0..100 {
            let mut bump = Bump::new(START, LEN);
            let mut blocks: Vec<(usize, usize)> = Vec::new();
            let mut highest = START;
            for _ in 0..200 {
                match below(3) {
                    0 => {
                        let wanted = layout(1 + below(300), 1 << below(7));
                        if let Some(address) = bump.take(wanted) {
                            assert_eq!(address % wanted.align(), 0);
                            blocks.push((address, wanted.size()));
                        }
                    }
                    1 if !blocks.is_empty() => {
                        let (address, len) = blocks.swap_remove(below(blocks.len()));
                        bump.give_back(address, len);
                    }
                    2 if !blocks.is_empty() => {
                        let index = below(blocks.len());
                        let (address, len) = blocks[index];
                        let new_len = 1 + below(600);
                        if bump.resize(address, len, new_len).is_some() {
                            // A block shrunk below others keeps its old place but loses its tail.
                            blocks[index].1 = new_len;
                        }
                    }
                    _ => {}
                }
                let mut sorted = blocks.clone();
                sorted.sort_unstable();
                assert!(sorted.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
                for (address, len) in sorted {
                    assert!(address >= START && address + len <= START + LEN);
                    highest = highest.max(address + len);
                }
                assert!(bump.untouched >= highest && bump.untouched <= START + LEN);
            }
        }
    }

    #[test]
    fn the_arena_serves_first_and_the_window_after() {
        let heap = Heap::new();
        let memory = vec![0_u8; 2 * ARENA_LEN];
        let window =
            Range { address: memory.as_ptr().expose_provenance() as u64, len: memory.len() as u64 };
        let (small, _) = heap.take(layout(64, 16), window).expect("the arena has room");
        assert_eq!(small.addr(), heap.arena.get().addr());
        let (large, dirty) = heap.take(layout(ARENA_LEN + 1, 1), window).expect("the window too");
        assert_eq!((large.addr() as u64, dirty), (window.address, 0));
        assert_eq!(heap.take(layout(ARENA_LEN, 1), window), None);
    }

    #[test]
    fn memory_that_was_used_before_is_reported_as_such() {
        let heap = Heap::new();
        let window = Range::default();
        let (block, dirty) = heap.take(layout(100, 1), window).expect("room");
        assert_eq!(dirty, 0);
        heap.update(|bump| bump.give_back(block.addr(), 100));
        let (again, dirty) = heap.take(layout(200, 1), window).expect("room");
        assert_eq!((again, dirty), (block, 100));
    }

    #[test]
    fn as_a_global_allocator_it_moves_contents_when_a_block_must_move() {
        let heap = Heap::new();
        // SAFETY: sizes are not zero, and blocks are passed back with the layout they came with.
        unsafe {
            let first = heap.alloc(layout(8, 1));
            first.write_bytes(7, 8);
            let second = heap.alloc(layout(8, 1));
            let moved = heap.realloc(first, layout(8, 1), 32);
            assert_ne!(moved, first);
            assert_eq!(core::slice::from_raw_parts(moved, 8), [7; 8]);
            heap.dealloc(moved, layout(32, 1));
            heap.dealloc(second, layout(8, 1));
            let zeroed = heap.alloc_zeroed(layout(64, 1));
            assert_eq!(core::slice::from_raw_parts(zeroed, 64), [0; 64]);
            assert!(heap.alloc(layout(2 * ARENA_LEN, 1)).is_null());
        }
    }
}
