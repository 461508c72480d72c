//! The allocator: `talc` over a piece of the image's own memory, and then over the heap window,
//! which it is given piece by piece.
//!
//! Most programs need no more than the first piece, which lies where the image's data does: the
//! tables that lead there every instance has anyway. Given at once, the allocator's note at the
//! window's far end would cost every instance a page and the tables that lead there.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use action_abi::Range;
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::cell::TalcSyncCell;
use talc::source::Source;

use super::Alone;

/// Bytes the allocator is given at a time.
const PIECE_LEN: usize = 64 << 10;
/// Bytes that it is given first. With the image they fit what one page table maps.
const FIRST_LEN: usize = 1 << 20;

/// The first piece: pages that do not exist until they are used.
static FIRST: Alone<[u8; FIRST_LEN]> = Alone::new([0; FIRST_LEN]);

/// What is left of the first piece or, once that does not suffice, of the window.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
/// Where the window begins; 0 once it was begun.
static WINDOW: AtomicUsize = AtomicUsize::new(0);
static WINDOW_END: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
// SAFETY: one core runs this image, and nothing interrupts it to allocate.
static HEAP: TalcSyncCell<Window, DefaultBinning> =
    unsafe { TalcSyncCell::new(talc::TalcCell::new(Window { end: None })) };

/// Takes the window. Before anything allocates.
pub fn begin(window: Range) {
    let first = FIRST.0.get() as usize;
    NEXT.store(first, Ordering::Relaxed);
    END.store(first + FIRST_LEN, Ordering::Relaxed);
    WINDOW.store(window.address as usize, Ordering::Relaxed);
    resize(window);
}

/// Takes the window as another instance has it: where it begins does not change.
pub fn resize(window: Range) {
    let end = (window.address + window.len) as usize;
    WINDOW_END.store(end, Ordering::Relaxed);
    if WINDOW.load(Ordering::Relaxed) == 0 {
        END.store(end, Ordering::Relaxed);
    }
}

/// Takes so many bytes of what is left.
fn take(len: usize) -> Option<usize> {
    let start = NEXT.load(Ordering::Relaxed);
    let end = start.checked_add(len).filter(|end| *end <= END.load(Ordering::Relaxed))?;
    NEXT.store(end, Ordering::Relaxed);
    Some(start)
}

/// Goes on with the window. Returns false if that was done before.
fn begin_window() -> bool {
    let start = WINDOW.swap(0, Ordering::Relaxed);
    if start != 0 {
        NEXT.store(start, Ordering::Relaxed);
        END.store(WINDOW_END.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    start != 0
}

/// Both as a source of memory.
#[derive(Debug)]
struct Window {
    /// End of what the allocator has of the one it is given pieces of.
    end: Option<NonNull<u8>>,
}

// SAFETY: `acquire` reaches no allocator but the one it is handed.
unsafe impl Source for Window {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // What the allocator keeps beside a block is less than a piece.
        let wanted = layout.size().checked_add(layout.align()).ok_or(())?;
        let len = wanted.checked_next_multiple_of(PIECE_LEN).ok_or(())?;
        let len = len.checked_add(PIECE_LEN).ok_or(())?;
        let mut start = take(len);
        if start.is_none() && begin_window() {
            talc.source.end = None;
            start = take(len);
        }
        let start = start.ok_or(())?;
        let first = core::ptr::with_exposed_provenance_mut::<u8>(start);
        talc.source.end = match talc.source.end.take() {
            // SAFETY: both are the image's alone, and what follows what the allocator has was not
            // given to it yet.
            Some(old) => Some(unsafe { talc.extend(old, first.wrapping_add(len)) }),
            // SAFETY: as above, for the first piece of each.
            None => unsafe { talc.claim(first, len) },
        };
        Ok(())
    }
}
