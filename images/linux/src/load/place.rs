//! Where a program's parts go, at random for each deploy.
//!
//! Everything that is not linked to fixed addresses lies in one of the 512 GiB that a level-4 entry
//! maps, so that an instance has few page tables of its own:
//!
//! ```text
//!   slot + up to 64 GiB     a position-independent executable, its heap behind it
//!   …                       mappings, downwards
//!   slot + 512 GiB - …      the stack, its guard page below
//! ```
#![forbid(unsafe_code)]

use core::ops::Range;

use crate::limits::STACK_LEN;
use crate::memory::regions::PAGE;

/// Bytes that one level-4 entry maps.
const SLOT_LEN: u64 = 1 << 39;
/// The slots a program may be placed in: above where others expect to map (Go: 0xc0_0000_0000).
const SLOTS: Range<u64> = 32..240;
/// How far into the slot an executable may begin.
const BASE_SPAN: u64 = 1 << 36;
/// How far below the slot's end the stack may end.
const STACK_SPAN: u64 = 1 << 36;
/// Between the stack and the mappings below it.
const GAP: u64 = 1 << 20;

/// Where things go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Base of a position-independent executable.
    pub base: u64,
    /// The page behind the stack.
    pub stack_end: u64,
    /// Mappings go below this.
    pub mmap_top: u64,
    /// Pages between a program's last segment and its heap.
    pub heap_gap: u64,
}

/// Draws places. Of each word some bits are used.
#[must_use]
pub fn places(random: [u64; 3], align: u64) -> Places {
    /// Pages that a heap may begin later.
    const HEAP_GAP_PAGES: u64 = 32;
    let slot = SLOTS.start + random[0] % (SLOTS.end - SLOTS.start);
    let start = slot * SLOT_LEN;
    let base = (start + random[1] % BASE_SPAN) / align * align;
    let stack_end = (start + SLOT_LEN - PAGE - random[2] % STACK_SPAN) / PAGE * PAGE;
    Places {
        base: base.max(start.next_multiple_of(align)),
        stack_end,
        mmap_top: stack_end - STACK_LEN - GAP,
        heap_gap: random[0] >> 32 & (HEAP_GAP_PAGES - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_places_are_in_one_slot_and_do_not_meet() {
        for seed in 0..1000_u64 {
            let word = |salt: u64| (seed + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for align in [PAGE, 1 << 21] {
                let places = places([word(1), word(2), word(3)], align);
                assert_eq!(places.base % align, 0);
                assert_eq!(places.stack_end % PAGE, 0);
                assert_eq!(places.base / SLOT_LEN, places.stack_end / SLOT_LEN);
                assert!(places.base + BASE_SPAN < places.mmap_top - STACK_LEN);
            }
        }
    }
}
