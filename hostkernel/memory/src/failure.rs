//! Memory that runs out on purpose: the n-th time the calling core asks for frames, or the heap for
//! memory, it is refused. On the host, where the heap is not ours, [`Heap`] stands in front of it.
//!
//! Only in tests. Who loops over n until nothing was refused has seen every place where frames can
//! be missing, and can say what became of each.

#[cfg(not(target_os = "none"))]
pub use host::{Heap, Refusal, Scarce, refuse_nth_allocation_of};

use super::per_core::{Initial, PerCore};

/// Requests for frames to go until one is refused; `None` refuses none.
struct Countdown(Option<usize>);

impl Initial for Countdown {
    const INITIAL: Self = Self(None);
}

type Countdowns = PerCore<Countdown>;
static FRAMES: Countdowns = PerCore::new();

/// Runs `work` and refuses its `n`-th request for frames, counted from 0. Returns what `work`
/// returned, and whether a request was refused.
pub fn refuse_nth<R>(n: usize, work: impl FnOnce() -> R) -> (R, bool) {
    refuse(&FRAMES, n, work)
}

fn refuse<R>(countdowns: &Countdowns, n: usize, work: impl FnOnce() -> R) -> (R, bool) {
    let swap = |next| countdowns.with(|countdown| core::mem::replace(&mut countdown.0, next));
    swap(Some(n));
    let result = work();
    (result, swap(None).is_none())
}

/// Whether the request for frames that is being made is the one to refuse. Only that one is: what
/// asks again afterwards, to say that memory ran out, gets what it needs.
pub(super) fn is_due() -> bool {
    is_next(&FRAMES)
}

/// The same for requests to the kernel's own heap.
#[cfg(target_os = "none")]
pub mod heap {
    use super::{Countdowns, PerCore, is_next, refuse};

    static HEAP: Countdowns = PerCore::new();

    /// As [`super::refuse_nth`]. Who does not expect to be refused ends the node.
    pub fn refuse_nth<R>(n: usize, work: impl FnOnce() -> R) -> (R, bool) {
        refuse(&HEAP, n, work)
    }

    /// Whether the request that is being made is the one to refuse.
    pub(crate) fn is_due() -> bool {
        is_next(&HEAP)
    }
}
fn is_next(countdowns: &Countdowns) -> bool {
    countdowns.with(|countdown| match countdown.0 {
        Some(0) => {
            countdown.0 = None;
            true
        }
        Some(n) => {
            countdown.0 = Some(n - 1);
            false
        }
        None => false,
    })
}

#[cfg(not(target_os = "none"))]
mod host {
    extern crate std;

    use super::{Countdown, FRAMES};
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::Cell;
    use core::ptr::null_mut;
    use std::alloc::System;

    std::thread_local! {
        /// Which allocations are counted, by their least length, and how many go until one is
        /// refused.
        static COUNTDOWN: Cell<(usize, Option<usize>)> = const { Cell::new((0, None)) };
    }

    /// The host's heap, which refuses when it is told to: for a test program's
    /// `#[global_allocator]`.
    pub struct Heap;

    // SAFETY: every call is passed on to the host's allocator, or refused, which callers expect.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if is_due(layout.size()) {
                return null_mut();
            }
            // SAFETY: the caller keeps the trait's contract.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: as above.
            unsafe { System.dealloc(pointer, layout) }
        }

        unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            if is_due(new_size) {
                return null_mut();
            }
            // SAFETY: as above.
            unsafe { System.realloc(pointer, layout, new_size) }
        }
    }

    /// Runs `work` and refuses its `n`-th allocation of at least `len` bytes, counted from 0.
    /// Returns what `work` returned, and whether one was refused. Who does not expect that ends the
    /// program.
    pub fn refuse_nth_allocation_of<R>(
        len: usize,
        n: usize,
        work: impl FnOnce() -> R,
    ) -> (R, bool) {
        COUNTDOWN.set((len, Some(n)));
        let result = work();
        let (_, left) = COUNTDOWN.replace((0, None));
        (result, left.is_none())
    }

    /// What is refused.
    #[derive(Clone, Copy, Debug)]
    pub enum Scarce {
        /// A request for frames.
        Frames,
        /// An allocation of at least so many bytes.
        Heap(usize),
    }

    /// The n-th request of something that is done bit by bit, between what others do on the same
    /// thread.
    #[derive(Debug)]
    pub struct Refusal {
        what: Scarce,
        left: Option<usize>,
    }

    impl Refusal {
        /// Refuses the `n`-th request, counted from 0.
        #[must_use]
        pub fn new(what: Scarce, n: usize) -> Self {
            Self { what, left: Some(n) }
        }

        /// Does a bit of the work.
        pub fn during<R>(&mut self, work: impl FnOnce() -> R) -> R {
            let frames = |left| FRAMES.with(|Countdown(next)| core::mem::replace(next, left));
            match self.what {
                Scarce::Frames => {
                    frames(self.left);
                    let result = work();
                    self.left = frames(None);
                    result
                }
                Scarce::Heap(len) => {
                    COUNTDOWN.set((len, self.left));
                    let result = work();
                    (_, self.left) = COUNTDOWN.replace((0, None));
                    result
                }
            }
        }

        /// Whether there was such a request.
        #[must_use]
        pub fn is_over(&self) -> bool {
            self.left.is_none()
        }
    }

    fn is_due(len: usize) -> bool {
        match COUNTDOWN.get() {
            (len_min, Some(left)) if len >= len_min => {
                COUNTDOWN.set((len_min, left.checked_sub(1)));
                left == 0
            }
            _ => false,
        }
    }
}
