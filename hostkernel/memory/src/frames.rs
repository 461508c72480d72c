//! Physical frames: who owns which, and how many may still be promised.
//!
//! A [`Frame`] is an owned page of physical memory, zeroed when handed out and given back on drop.
//! Free frames rest in three places, cheapest first: lists per core (Bonwick's two magazines, and
//! one of frames known to be zero; no lock), a depot of full batches (one lock for a batch), and
//! ranges never used.
//!
//! Two books are kept apart. *Lists* say where free frames are. *`available`* says how many frames
//! nobody owns and nobody was promised. A [`Reservation`] takes from `available` first and frames
//! later, which then cannot fail: the pool holds back what other cores' lists can strand.
//!
//! ```text
//! available + remaining of all reservations + live frames = installed frames - held back
//! ```

#[cfg(any(test, feature = "selftest"))]
pub mod balance;
mod pool;

use super::physical::{frame_pointer, zero_frame};
use limits::{FRAMES_STRANDED_PER_CORE, PAGE_LEN};

pub use super::frame_number::FrameNumber;
use pool::FreeFrame;
pub(super) use pool::{POOL, Returns};

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
        POOL.release(1);
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
    #[inline(always)]
    pub fn take(&mut self) -> Result<Frame, OutOfFrames> {
        self.count_one()?;
        Ok(Frame::take_promised())
    }

    /// Whether so many frames are left, for who takes them by [`Self::take_promised`].
    ///
    /// # Errors
    /// [`OutOfFrames`] if not.
    pub fn holds(&self, frames: usize) -> Result<(), OutOfFrames> {
        refuse_if_told()?;
        if frames <= self.remaining { Ok(()) } else { Err(OutOfFrames) }
    }

    /// Takes one zeroed frame of a promise that is not used up.
    ///
    /// # Panics
    /// If it is.
    pub fn take_promised(&mut self) -> Frame {
        assert!(self.remaining > 0, "nothing is left of the promise");
        self.remaining -= 1;
        Frame::take_promised()
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

    /// The same for every frame that `f` passes on, which must ask for none meanwhile.
    #[inline]
    pub(super) fn put_each(&mut self, f: impl FnOnce(&mut Returns<'_>)) {
        self.remaining_min = self.remaining_min.min(self.remaining);
        self.remaining += POOL.push_each(f);
    }

    /// Counts frames as taken that are not this promise's: who uses them pays for them.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn charge(&mut self, frames: usize) -> Result<(), OutOfFrames> {
        refuse_if_told()?;
        self.remaining = self.remaining.checked_sub(frames).ok_or(OutOfFrames)?;
        Ok(())
    }

    /// Takes back what was [charged](Self::charge).
    pub(super) fn discharge(&mut self, frames: usize) {
        self.remaining_min = self.remaining_min.min(self.remaining);
        self.remaining += frames;
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
        POOL.release(self.remaining);
    }
}

/// Gives frames back that nothing was promised of; they must not ask for any while they come.
#[inline(never)]
pub(super) fn give_back(frames: impl Iterator<Item = Frame>) {
    let count = POOL.push_each(|returns| frames.for_each(|frame| returns.put(frame)));
    POOL.release(count);
}

/// Frames nobody owns or was promised.
#[must_use]
pub fn available() -> usize {
    POOL.available()
}

/// All frames the pool manages, held-back ones included.
#[must_use]
pub fn installed() -> usize {
    POOL.installed()
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
    POOL.take_run(count).ok_or_else(|| {
        POOL.release(count);
        OutOfFrames
    })
}

/// Zeroes frames of this core's lists for later, a few at a time, until there are enough or
/// `is_wanted` says that the core has something better to do. Returns whether it did.
pub fn zero_ahead(mut is_wanted: impl FnMut() -> bool) -> bool {
    loop {
        if is_wanted() {
            return true;
        }
        if !POOL.zero_some() {
            return false;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install_for_test;
    use alloc::vec::Vec;
    use limits::{FRAME_BATCH, FRAMES_ZEROED_AHEAD, FRAMES_ZEROED_AT_ONCE};

    #[test]
    fn frames_are_zeroed_and_distinct() {
        install_for_test();
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
        install_for_test();
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
        install_for_test();
        let mut frames: Vec<Frame> =
            (0..FRAME_BATCH).map(|_| Frame::allocate().expect("the arena is large")).collect();
        frames.iter_mut().for_each(|frame| frame.bytes_mut().fill(1));
        drop(frames);
        let mut looks = 0;
        let mut zero_ahead = |looks_max| {
            let is_wanted = zero_ahead(|| {
                looks += 1;
                looks > looks_max
            });
            (is_wanted, looks)
        };
        assert_eq!(zero_ahead(0), (true, 1));
        assert_eq!(
            zero_ahead(usize::MAX),
            (false, 1 + FRAMES_ZEROED_AHEAD / FRAMES_ZEROED_AT_ONCE)
        );
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
        install_for_test();
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
        install_for_test();
        assert_eq!(Reservation::new(installed() + 1).err(), Some(OutOfFrames));
        assert!(Reservation::new(usize::MAX).is_err());
    }
}
