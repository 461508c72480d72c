//! The kernel heap: one run of memory at boot, managed by `talc`.
//!
//! Its size is fixed, so everything that allocates on behalf of a client is bounded elsewhere
//! ([`limits`]), and requests are refused while less than
//! [`HEAP_RESERVE_LEN`](limits::HEAP_RESERVE_LEN) is free.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};

use talc::TalcLock;
use talc::source::Manual;

use crate::{OutOfFrames, frames, kernel_map};
use limits::{HEAP_LEN_BASE, HEAP_LEN_MAX, HEAP_MEMORY_DIVISOR, PAGE_LEN};

struct Heap {
    talc: TalcLock<spin::Mutex<()>, Manual>,
    used: AtomicUsize,
    len: AtomicUsize,
}

#[global_allocator]
static HEAP: Heap =
    Heap { talc: TalcLock::new(Manual), used: AtomicUsize::new(0), len: AtomicUsize::new(0) };

// SAFETY: every call is passed on to `talc`; the counter has no influence on it.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(feature = "selftest")]
        if crate::failure::heap::is_due() {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller keeps the trait's contract.
        let pointer = unsafe { self.talc.alloc(layout) };
        if !pointer.is_null() {
            self.used.fetch_add(layout.size(), Ordering::Relaxed);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.talc.dealloc(pointer, layout) };
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        #[cfg(feature = "selftest")]
        if crate::failure::heap::is_due() {
            return core::ptr::null_mut();
        }
        // SAFETY: as above.
        let new = unsafe { self.talc.realloc(pointer, layout, new_size) };
        if !new.is_null() {
            self.used.fetch_add(new_size, Ordering::Relaxed);
            self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        new
    }
}

/// Gives the heap its memory. Once, on core 0, before anything allocates.
///
/// # Errors
/// [`OutOfFrames`] if memory has no run that long.
pub fn initialise() -> Result<(), OutOfFrames> {
    let share = frames::installed() * PAGE_LEN / HEAP_MEMORY_DIVISOR;
    let len = (HEAP_LEN_BASE + share).min(HEAP_LEN_MAX).next_multiple_of(PAGE_LEN);
    let start = kernel_map::permanent(len / PAGE_LEN)?;
    // SAFETY: the run belongs to nobody else from now on.
    let claimed = unsafe { HEAP.talc.lock().claim(start, len) };
    assert!(claimed.is_some(), "the heap is larger than the allocator's own tables");
    HEAP.len.store(len, Ordering::Relaxed);
    Ok(())
}

/// Bytes the heap has in all.
#[must_use]
pub fn len() -> usize {
    HEAP.len.load(Ordering::Relaxed)
}

/// Bytes that are allocated.
#[must_use]
pub fn used() -> usize {
    HEAP.used.load(Ordering::Relaxed)
}
