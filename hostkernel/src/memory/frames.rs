//! Physical frames: who owns which, and how many may still be promised.
//!
//! A [`Frame`] is an owned page of physical memory, zeroed when handed out and given back on drop.
//! Free frames rest in three places, cheapest first: lists per core (Bonwick's two magazines, and
//! one of frames known to be zero; no lock), a depot of full batches (one lock per [`FRAME_BATCH`]
//! frames), and ranges never used yet.
//!
//! Two books are kept apart. *Lists* say where free frames are. *`available`* says how many frames
//! nobody owns and nobody was promised. A [`Reservation`] takes from `available` first and frames
//! later, which then cannot fail: the pool holds back what other cores' lists can strand.
//!
//! ```text
//! available + remaining of all reservations + live frames = installed frames - held back
//! ```

use core::num::NonZeroU32;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Mutex;

use super::per_core::{Initial, PerCore};
use super::physical::{frame_pointer, zero_frame};
use crate::config::{
    FRAME_BATCH, FRAMES_STRANDED_PER_CORE, FRAMES_ZEROED_AHEAD, MEMORY_RANGES_MAX, PAGE_LEN,
};

/// Number of a 4 KiB frame: physical address / 4096. Frame 0 is never used, so `Option` is free.
pub type FrameNumber = NonZeroU32;

/// There is no frame left that is not promised to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

/// An owned, exclusively held frame.
#[derive(Debug)]
pub struct Frame {
    number: FrameNumber,
}

impl Frame {
    /// Takes a zeroed frame that nobody was promised.
    ///
    /// # Errors
    /// [`OutOfFrames`] if all are in use or reserved.
    pub fn allocate() -> Result<Self, OutOfFrames> {
        POOL.promise(1)?;
        Ok(Self::take_promised())
    }

    /// Takes a zeroed frame out of what `available` no longer counts.
    fn take_promised() -> Self {
        let (number, is_zeroed) = POOL.pop(true);
        // SAFETY: the frame just left the free lists, so nothing else refers to it; if it is known
        // to be zero, then but for the link at its start.
        unsafe {
            if is_zeroed {
                frame_pointer(number).write_bytes(0, size_of::<FreeFrame>());
            } else {
                zero_frame(number);
            }
        }
        Self { number }
    }

    /// The frame's number.
    #[must_use]
    pub fn number(&self) -> FrameNumber {
        self.number
    }

    /// The frame's physical address.
    #[must_use]
    pub fn physical(&self) -> u64 {
        u64::from(self.number.get()) * PAGE_LEN as u64
    }

    /// The frame's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; PAGE_LEN] {
        // SAFETY: `self` owns the frame; who writes to it needs `&mut self`, or is an action, which
        // does not run while the kernel of its core holds this reference.
        unsafe { &*frame_pointer(self.number).cast() }
    }

    /// The frame's bytes.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_LEN] {
        // SAFETY: as in `bytes`, and `&mut self` makes it exclusive.
        unsafe { &mut *frame_pointer(self.number).cast() }
    }

    /// Gives up ownership, for frames that page tables or devices refer to by number.
    #[must_use]
    pub(super) fn into_raw(self) -> FrameNumber {
        core::mem::ManuallyDrop::new(self).number
    }

    /// Looks at a frame without owning it.
    ///
    /// # Safety
    /// The frame's owner keeps it, and nobody writes to it, for as long as the result is used.
    #[must_use]
    pub(super) unsafe fn borrow(number: FrameNumber) -> BorrowedFrame {
        BorrowedFrame(core::mem::ManuallyDrop::new(Self { number }))
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `number` came from [`Frame::into_raw`], and nothing else will take it back or refer to it.
    #[must_use]
    pub(super) unsafe fn from_raw(number: FrameNumber) -> Self {
        Self { number }
    }
}

/// A frame somebody else owns, for reading.
#[derive(Debug)]
pub(super) struct BorrowedFrame(core::mem::ManuallyDrop<Frame>);

impl BorrowedFrame {
    pub fn bytes(&self) -> &[u8; PAGE_LEN] {
        self.0.bytes()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        POOL.push(self.number);
        POOL.available.fetch_add(1, Ordering::Relaxed);
    }
}

/// A promise of frames that was paid for in advance.
#[derive(Debug)]
pub struct Reservation {
    remaining: usize,
    /// The fewest that remained when a frame was given back.
    remaining_min: usize,
}

impl Reservation {
    /// Sets `frames` aside.
    ///
    /// # Errors
    /// [`OutOfFrames`] if fewer are available; then nothing changes.
    pub fn new(frames: usize) -> Result<Self, OutOfFrames> {
        POOL.promise(frames)?;
        Ok(Self { remaining: frames, remaining_min: frames })
    }

    /// Takes one zeroed frame of the promise.
    ///
    /// # Errors
    /// [`OutOfFrames`] if the promise is used up.
    pub fn take(&mut self) -> Result<Frame, OutOfFrames> {
        self.count_one()?;
        Ok(Frame::take_promised())
    }

    /// Takes one frame of the promise and fills it with a copy of another.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn take_copy(&mut self, source: &BorrowedFrame) -> Result<Frame, OutOfFrames> {
        self.count_one()?;
        let (number, _) = POOL.pop(false);
        let mut frame = Frame { number };
        frame.bytes_mut().copy_from_slice(source.bytes());
        Ok(frame)
    }

    fn count_one(&mut self) -> Result<(), OutOfFrames> {
        refuse_if_told()?;
        self.remaining = self.remaining.checked_sub(1).ok_or(OutOfFrames)?;
        Ok(())
    }

    /// Gives a frame back to the promise, so that it can be taken again.
    pub fn put(&mut self, frame: Frame) {
        POOL.push(frame.into_raw());
        self.count_back();
    }

    fn count_back(&mut self) {
        self.remaining_min = self.remaining_min.min(self.remaining);
        self.remaining += 1;
    }

    /// Gives a frame back to the promise as one that need not be zeroed again.
    ///
    /// # Safety
    /// Every byte of the frame is zero.
    pub(super) unsafe fn put_zeroed(&mut self, frame: Frame) {
        debug_assert_eq!(frame.bytes(), &[0; PAGE_LEN]);
        if POOL.push_zeroed(frame.number) {
            let _in_the_list = frame.into_raw();
            self.count_back();
        } else {
            self.put(frame);
        }
    }

    /// Frames that can still be taken.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// The fewest frames that could be taken at any time.
    #[must_use]
    pub fn remaining_min(&self) -> usize {
        self.remaining.min(self.remaining_min)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        POOL.available.fetch_add(self.remaining, Ordering::Release);
    }
}

/// Frames nobody owns or was promised.
#[must_use]
pub fn available() -> usize {
    POOL.available.load(Ordering::Acquire)
}

/// All frames the pool manages, held-back ones included.
#[must_use]
pub fn installed() -> usize {
    POOL.installed.load(Ordering::Relaxed)
}

/// Keeps back what `cores` cores can strand in their lists; called once, before any reservation.
pub fn hold_back_for(cores: usize) {
    let frames = cores * FRAMES_STRANDED_PER_CORE;
    let result = POOL.promise(frames);
    assert!(result.is_ok(), "not enough memory for the free lists of {cores} cores");
}

/// Takes `count` neighbouring frames, content undefined. Boot time only: once the fresh ranges are
/// broken up, runs are no longer found.
///
/// # Errors
/// [`OutOfFrames`] if no fresh range is long enough.
#[cfg(target_os = "none")]
pub(super) fn allocate_contiguous(count: usize) -> Result<FrameNumber, OutOfFrames> {
    POOL.promise(count)?;
    let run = POOL.depot.lock().take_fresh_run(count);
    run.ok_or_else(|| {
        POOL.available.fetch_add(count, Ordering::Relaxed);
        OutOfFrames
    })
}

/// Zeroes frames of this core's lists for later, one by one, until there are enough or `is_wanted`
/// says that the core has something better to do.
pub fn zero_ahead(mut is_wanted: impl FnMut() -> bool) {
    while !is_wanted() && POOL.zero_one() {}
}

pub(super) static POOL: Pool = Pool {
    lists: PerCore::new(),
    depot: Mutex::new(Depot { batches: None, fresh: [(1, 1); MEMORY_RANGES_MAX], fresh_len: 0 }),
    available: AtomicUsize::new(0),
    installed: AtomicUsize::new(0),
};

pub(super) struct Pool {
    lists: PerCore<CoreLists>,
    depot: Mutex<Depot>,
    available: AtomicUsize,
    installed: AtomicUsize,
}

impl Pool {
    /// Hands the frames `start..end` to the pool.
    pub(super) fn add_fresh(&self, start: FrameNumber, end: FrameNumber) {
        let count = (end.get() - start.get()) as usize;
        if self.depot.lock().add_fresh(start, end) {
            self.installed.fetch_add(count, Ordering::Relaxed);
            self.available.fetch_add(count, Ordering::Relaxed);
        } else {
            log::warn!("memory map too fragmented: {count} frames ignored");
        }
    }

    fn promise(&self, frames: usize) -> Result<(), OutOfFrames> {
        refuse_if_told()?;
        self.available
            .try_update(Ordering::Acquire, Ordering::Relaxed, |available| {
                available.checked_sub(frames)
            })
            .map(|_| ())
            .map_err(|_| OutOfFrames)
    }

    /// A promised frame, and whether all of it but the link is known to be zero. If it is to be
    /// zeroed, one that is comes first.
    fn pop(&self, to_be_zeroed: bool) -> (FrameNumber, bool) {
        self.lists.with(|lists| {
            if to_be_zeroed && let Some(frame) = lists.zeroed.pop() {
                return (frame, true);
            }
            if lists.loaded.head.is_none() {
                core::mem::swap(&mut lists.loaded, &mut lists.previous);
            }
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
        })
    }

    /// Keeps a zeroed frame for later. Returns false, leaving it to the caller, if there are
    /// enough.
    fn push_zeroed(&self, frame: FrameNumber) -> bool {
        self.lists.with(|lists| {
            let room = lists.zeroed.len < FRAME_BATCH;
            if room {
                lists.zeroed.push(frame);
            }
            room
        })
    }

    /// Zeroes a free frame. Returns false if enough are, or none is in this core's lists.
    fn zero_one(&self) -> bool {
        self.lists.with(|lists| {
            if lists.zeroed.len >= FRAMES_ZEROED_AHEAD {
                return false;
            }
            let Some(frame) = lists.loaded.pop().or_else(|| lists.previous.pop()) else {
                return false;
            };
            // SAFETY: the frame just left a free list, so nothing else refers to it.
            unsafe { zero_frame(frame) };
            lists.zeroed.push(frame);
            true
        })
    }

    fn push(&self, frame: FrameNumber) {
        self.lists.with(|lists| {
            if lists.loaded.len == FRAME_BATCH {
                let full = core::mem::replace(&mut lists.previous, List::EMPTY);
                if let Some(head) = full.head {
                    self.depot.lock().put_batch(head, full.len);
                }
                core::mem::swap(&mut lists.loaded, &mut lists.previous);
            }
            lists.loaded.push(frame);
        });
    }
}

/// Fails where a test wants memory to run out; costs nothing in a kernel that serves.
fn refuse_if_told() -> Result<(), OutOfFrames> {
    #[cfg(any(test, feature = "selftest"))]
    if super::failure::is_due() {
        return Err(OutOfFrames);
    }
    Ok(())
}

/// What a free frame holds: links, in the frame itself.
#[repr(C)]
struct FreeFrame {
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

#[cfg(test)]
mod tests {
    use super::super::physical::host;
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn frames_are_zeroed_and_distinct() {
        host::install();
        let mut frames: Vec<Frame> =
            (0..3 * FRAME_BATCH).map(|_| Frame::allocate().expect("the arena is large")).collect();
        for (index, frame) in frames.iter_mut().enumerate() {
            assert_eq!(frame.bytes(), &[0; PAGE_LEN]);
            frame.bytes_mut().fill(index as u8 + 1);
        }
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(frame.bytes(), &[index as u8 + 1; PAGE_LEN]);
        }
        drop(frames);
        let again = Frame::allocate().expect("they were given back");
        assert_eq!(again.bytes(), &[0; PAGE_LEN]);
    }

    #[test]
    fn zeroed_frames_come_back_zeroed_and_are_bounded() {
        host::install();
        let mut reservation = Reservation::new(2 * FRAME_BATCH).expect("the arena is large");
        let take = |_| reservation.take().expect("promised");
        let frames: Vec<Frame> = (0..2 * FRAME_BATCH).map(take).collect();
        for frame in frames {
            // SAFETY: nothing was written to it since it was allocated.
            unsafe { reservation.put_zeroed(frame) };
        }
        assert_eq!(reservation.remaining(), 2 * FRAME_BATCH);
        drop(reservation);
        for _ in 0..2 * FRAME_BATCH {
            let mut frame = Frame::allocate().expect("they were given back");
            assert_eq!(frame.bytes(), &[0; PAGE_LEN]);
            frame.bytes_mut().fill(1);
        }
    }

    #[test]
    fn frames_are_zeroed_ahead_until_there_are_enough_or_something_comes() {
        host::install();
        let mut frames: Vec<Frame> =
            (0..FRAME_BATCH).map(|_| Frame::allocate().expect("the arena is large")).collect();
        frames.iter_mut().for_each(|frame| frame.bytes_mut().fill(1));
        drop(frames);
        let mut looks = 0;
        let mut zero_ahead = |looks_max| {
            zero_ahead(|| {
                looks += 1;
                looks > looks_max
            });
            looks
        };
        assert_eq!(zero_ahead(0), 1);
        assert_eq!(zero_ahead(usize::MAX), 2 + FRAMES_ZEROED_AHEAD);
        POOL.promise(FRAME_BATCH).expect("they were given back");
        let (taken, known): (Vec<_>, Vec<_>) = (0..FRAME_BATCH)
            .map(|_| {
                let (number, is_zeroed) = POOL.pop(true);
                // SAFETY: it has just left the lists.
                (unsafe { Frame::from_raw(number) }, is_zeroed)
            })
            .unzip();
        let is_zero =
            |frame: &Frame| frame.bytes()[size_of::<FreeFrame>()..].iter().all(|byte| *byte == 0);
        assert!(taken.iter().zip(&known).all(|(frame, known)| is_zero(frame) == *known));
        assert_eq!(known.iter().filter(|known| **known).count(), FRAMES_ZEROED_AHEAD);
    }

    #[test]
    fn a_reservation_bounds_what_is_taken_and_takes_frames_back() {
        host::install();
        let mut reservation = Reservation::new(2).expect("the arena is large");
        let first = reservation.take().expect("promised");
        let _second = reservation.take().expect("promised");
        assert_eq!(reservation.take().err(), Some(OutOfFrames));
        reservation.put(first);
        assert_eq!(reservation.remaining(), 1);
        assert!(reservation.take().is_ok());
    }

    #[test]
    fn more_than_everything_is_refused() {
        host::install();
        assert_eq!(Reservation::new(installed() + 1).err(), Some(OutOfFrames));
        assert!(Reservation::new(usize::MAX).is_err());
    }
}
