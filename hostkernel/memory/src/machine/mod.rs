//! The bare machine's side: the kernel's own tables, a core's own memory, the heap, and what the
//! boot loader left.

pub mod core_area;
pub mod heap;
pub mod kernel_map;
pub mod module;

pub use core_area::core_id;

use crate::physical::DIRECT_MAP_START;

/// Where the direct map begins.
pub(crate) fn window_start() -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(DIRECT_MAP_START as usize)
}

/// Bytes the kernel heap could still give.
#[must_use]
pub fn heap_free() -> usize {
    heap::len().saturating_sub(heap::used())
}

/// The calling core's time stamp counter.
#[inline]
#[must_use]
pub fn cycles() -> u64 {
    // SAFETY: the instruction changes nothing, and every 64-bit processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}
