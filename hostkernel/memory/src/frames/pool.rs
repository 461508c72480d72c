//! Where free frames rest: lists per core, a depot, and ranges never used.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use super::super::per_core::{Initial, PerCore};
use super::super::physical::{frame_pointer, zero_frame};
use super::{Frame, FrameNumber, OutOfFrames, refuse_if_told};
use limits::{FRAME_BATCH, FRAMES_ZEROED_AHEAD, FRAMES_ZEROED_AT_ONCE, MEMORY_RANGES_MAX};

pub(crate) static POOL: Pool = Pool {
    lists: PerCore::new(),
    depot: Mutex::new(Depot { batches: None, fresh: [(1, 1); MEMORY_RANGES_MAX], fresh_len: 0 }),
    available: AtomicUsize::new(0),
    installed: AtomicUsize::new(0),
};

pub(crate) struct Pool {
    lists: PerCore<CoreLists>,
    depot: Mutex<Depot>,
    available: AtomicUsize,
    installed: AtomicUsize,
}

impl Pool {
    /// Hands the frames `start..end` to the pool.
    pub(crate) fn add_fresh(&self, start: FrameNumber, end: FrameNumber) {
        let count = (end.get() - start.get()) as usize;
        if self.depot.lock().add_fresh(start, end) {
            self.installed.fetch_add(count, Ordering::Relaxed);
            self.available.fetch_add(count, Ordering::Relaxed);
        } else {
            log::warn!("memory map too fragmented: {count} frames ignored");
        }
    }

    pub(super) fn available(&self) -> usize {
        self.available.load(Ordering::Acquire)
    }

    pub(super) fn installed(&self) -> usize {
        self.installed.load(Ordering::Relaxed)
    }

    /// Takes back a promise of so many.
    pub(super) fn release(&self, frames: usize) {
        #[cfg(any(test, feature = "selftest"))]
        super::balance::change(|held| held - frames.cast_signed());
        self.available.fetch_add(frames, Ordering::Release);
    }

    /// Takes neighbouring frames that were promised, if there is a range never used.
    #[cfg(target_os = "none")]
    pub(super) fn take_run(&self, count: usize) -> Option<FrameNumber> {
        self.depot.lock().take_fresh_run(count)
    }

    pub(super) fn promise(&self, frames: usize) -> Result<(), OutOfFrames> {
        refuse_if_told()?;
        self.available
            .try_update(Ordering::Acquire, Ordering::Relaxed, |available| {
                available.checked_sub(frames)
            })
            .map(|_| {
                #[cfg(any(test, feature = "selftest"))]
                super::balance::change(|held| held + frames.cast_signed());
            })
            .map_err(|_| OutOfFrames)
    }

    /// A promised frame, and whether all of it but the link is known to be zero. If it is to be
    /// zeroed, one that is comes first.
    #[inline]
    pub(super) fn pop(&self, to_be_zeroed: bool) -> (FrameNumber, bool) {
        self.lists.with(|lists| {
            if to_be_zeroed && let Some(frame) = lists.zeroed.pop() {
                return (frame, true);
            }
            match lists.loaded.pop() {
                Some(frame) => (frame, false),
                None => self.pop_further(lists),
            }
        })
    }

    /// The same when the list in use is empty.
    #[cold]
    fn pop_further(&self, lists: &mut CoreLists) -> (FrameNumber, bool) {
        core::mem::swap(&mut lists.loaded, &mut lists.previous);
        if lists.loaded.head.is_none() {
            lists.loaded = self.depot.lock().take_batch();
        }
        match lists.loaded.pop() {
            Some(frame) => (frame, false),
            None => {
                let last = lists.zeroed.pop();
                (last.expect("a promised frame is in the depot or this core's lists"), true)
            }
        }
    }

    /// Keeps a zeroed frame for later. Returns false, leaving it to the caller, if there are
    /// enough.
    pub(super) fn push_zeroed(&self, frame: FrameNumber) -> bool {
        self.lists.with(|lists| {
            let room = lists.zeroed.len < FRAME_BATCH;
            if room {
                lists.zeroed.push(frame);
            }
            room
        })
    }

    /// Zeroes a few free frames. Returns false if enough are, or none is left in this core's lists.
    pub(super) fn zero_some(&self) -> bool {
        self.lists.with(|lists| {
            for _ in 0..FRAMES_ZEROED_AT_ONCE {
                if lists.zeroed.len >= FRAMES_ZEROED_AHEAD {
                    return false;
                }
                let Some(frame) = lists.loaded.pop().or_else(|| lists.previous.pop()) else {
                    return false;
                };
                // SAFETY: the frame just left a free list, so nothing else refers to it.
                unsafe { zero_frame(frame) };
                lists.zeroed.push(frame);
            }
            lists.zeroed.len < FRAMES_ZEROED_AHEAD
        })
    }

    pub(super) fn push(&self, frame: FrameNumber) {
        self.push_each(|returns| returns.push(frame));
    }

    /// Takes back every frame that `f` passes on, and says how many those were. `f` must not ask
    /// this pool for anything.
    #[inline]
    pub(super) fn push_each(&self, f: impl FnOnce(&mut Returns<'_>)) -> usize {
        self.lists.with(|lists| {
            let mut returns = Returns { depot: &self.depot, lists, count: 0 };
            f(&mut returns);
            returns.count
        })
    }
}

/// Where frames go that are given back.
pub struct Returns<'a> {
    depot: &'a Mutex<Depot>,
    lists: &'a mut CoreLists,
    count: usize,
}

impl Returns<'_> {
    /// Gives one back.
    #[inline]
    pub fn put(&mut self, frame: Frame) {
        self.push(frame.into_raw());
    }

    #[inline]
    fn push(&mut self, frame: FrameNumber) {
        if self.lists.loaded.len == FRAME_BATCH {
            self.make_room();
        }
        self.lists.loaded.push(frame);
        self.count += 1;
    }

    /// Puts a full list away, and another one in its place.
    #[cold]
    fn make_room(&mut self) {
        let Self { depot, lists, .. } = self;
        let full = core::mem::replace(&mut lists.previous, List::EMPTY);
        if let Some(head) = full.head {
            depot.lock().put_batch(head, full.len);
        }
        core::mem::swap(&mut lists.loaded, &mut lists.previous);
    }
}

/// What a free frame holds: links, in the frame itself.
#[repr(C)]
pub(super) struct FreeFrame {
    next: Option<FrameNumber>,
    // Only in the first frame of a batch in the depot.
    next_batch: Option<FrameNumber>,
    batch_len: u32,
}

/// # Safety
/// `frame` is free and owned by the list that asks.
unsafe fn free_frame(frame: FrameNumber) -> NonNull<FreeFrame> {
    // SAFETY: the direct map is never at address 0, and a page is aligned for any structure.
    unsafe { NonNull::new_unchecked(frame_pointer(frame).cast()) }
}

/// A list of free frames, linked through the frames.
struct List {
    head: Option<FrameNumber>,
    len: usize,
}

impl List {
    const EMPTY: Self = Self { head: None, len: 0 };

    fn push(&mut self, frame: FrameNumber) {
        let link = FreeFrame { next: self.head, next_batch: None, batch_len: 0 };
        // SAFETY: the caller gave up the frame, so this list owns it.
        unsafe { free_frame(frame).write(link) };
        self.head = Some(frame);
        self.len += 1;
    }

    fn pop(&mut self) -> Option<FrameNumber> {
        let frame = self.head?;
        // SAFETY: the list owns the frame and wrote its link.
        self.head = unsafe { free_frame(frame).as_ref() }.next;
        self.len -= 1;
        Some(frame)
    }
}

struct CoreLists {
    loaded: List,
    previous: List,
    /// Frames that are zero but for their link.
    zeroed: List,
}

impl Initial for CoreLists {
    const INITIAL: Self = Self { loaded: List::EMPTY, previous: List::EMPTY, zeroed: List::EMPTY };
}

/// Free frames that belong to no core.
struct Depot {
    batches: Option<FrameNumber>,
    // Half-open ranges of frame numbers never handed out.
    fresh: [(u32, u32); MEMORY_RANGES_MAX],
    fresh_len: usize,
}

impl Depot {
    fn add_fresh(&mut self, start: FrameNumber, end: FrameNumber) -> bool {
        let room = self.fresh_len < MEMORY_RANGES_MAX;
        if room {
            self.fresh[self.fresh_len] = (start.get(), end.get());
            self.fresh_len += 1;
        }
        room
    }

    fn put_batch(&mut self, head: FrameNumber, len: usize) {
        // SAFETY: a batch in the depot belongs to the depot, its first frame included.
        let first = unsafe { free_frame(head).as_mut() };
        first.next_batch = self.batches;
        first.batch_len = u32::try_from(len).expect("a batch is short");
        self.batches = Some(head);
    }

    fn take_batch(&mut self) -> List {
        if let Some(head) = self.batches {
            // SAFETY: as in `put_batch`.
            let first = unsafe { free_frame(head).as_ref() };
            self.batches = first.next_batch;
            return List { head: Some(head), len: first.batch_len as usize };
        }
        let mut list = List::EMPTY;
        while list.len < FRAME_BATCH
            && let Some(frame) = self.take_fresh_run(1)
        {
            list.push(frame);
        }
        list
    }

    fn take_fresh_run(&mut self, count: usize) -> Option<FrameNumber> {
        let count = u32::try_from(count).ok()?;
        let fits = |(start, end): &(u32, u32)| end - start >= count;
        let at = self.fresh[..self.fresh_len].iter().rposition(fits)?;
        let (start, end) = self.fresh[at];
        let first = end - count;
        if first == start {
            self.fresh[at] = self.fresh[self.fresh_len - 1];
            self.fresh_len -= 1;
        } else {
            self.fresh[at].1 = first;
        }
        FrameNumber::new(first)
    }
}
