//! The allocator: `talc` over the heap window, which it is given piece by piece.
//!
//! Given at once, the allocator's note at the window's far end would cost every instance a page and
//! the tables that lead there.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use action_abi::Range;
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::cell::TalcSyncCell;
use talc::source::Source;

/// Bytes the allocator is given at a time.
const PIECE_LEN: usize = 64 << 10;

/// What is left of the window.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
// SAFETY: one core runs this image, and nothing interrupts it to allocate.
static HEAP: TalcSyncCell<Window, DefaultBinning> =
    unsafe { TalcSyncCell::new(talc::TalcCell::new(Window { end: None })) };

/// Takes the window. Before anything allocates.
pub fn begin(window: Range) {
    NEXT.store(window.address as usize, Ordering::Relaxed);
    END.store((window.address + window.len) as usize, Ordering::Relaxed);
}

/// Takes the window as another instance has it: where it begins does not change.
pub fn resize(window: Range) {
    END.store((window.address + window.len) as usize, Ordering::Relaxed);
}

/// The heap window as a source of memory.
#[derive(Debug)]
struct Window {
    /// End of what the allocator has.
    end: Option<NonNull<u8>>,
}

// SAFETY: `acquire` reaches no allocator but the one it is handed.
unsafe impl Source for Window {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let start = NEXT.load(Ordering::Relaxed);
        // What the allocator keeps beside a block is less than a piece.
        let wanted = layout.size().checked_add(layout.align()).ok_or(())?;
        let len = wanted.checked_next_multiple_of(PIECE_LEN).ok_or(())?;
        let len = len.checked_add(PIECE_LEN).ok_or(())?;
        let end = start.checked_add(len).filter(|end| *end <= END.load(Ordering::Relaxed));
        let end = end.ok_or(())?;
        NEXT.store(end, Ordering::Relaxed);
        let first = core::ptr::with_exposed_provenance_mut::<u8>(start);
        talc.source.end = match talc.source.end.take() {
            // SAFETY: the window is the image's alone, and what follows what the allocator has was
            // not given to it yet.
            Some(old) => Some(unsafe { talc.extend(old, first.wrapping_add(len)) }),
            // SAFETY: as above, for the first piece.
            None => unsafe { talc.claim(first, len) },
        };
        Ok(())
    }
}
