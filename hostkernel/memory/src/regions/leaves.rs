//! Where regions are kept: in frames, sorted, shared with a template until they are changed.
//!
//! ```text
//! up to 6 leaves:  numbers of their frames, inline
//! more:            a directory, a frame of such numbers
//! leaf:            a frame of up to 170 regions
//! ```
//!
//! Each leaf names the list it belongs to. Another's is copied before it is changed. Two
//! neighbours always hold more regions than fit into one, so that leaves are half full on average.

use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use limits::{PAGE_LEN, REGIONS_MAX};

use super::region::Region;
use crate::frames::{Frame, FrameNumber, Reservation};
use crate::physical::frame_pointer;

/// Leaves that need no directory.
pub(super) const INLINE: usize = 6;
/// Regions in a leaf.
pub(super) const LEAF_LEN: usize = (PAGE_LEN - 16) / size_of::<Region>();
/// Leaves in a directory.
const DIRECTORY_LEN: usize = PAGE_LEN / size_of::<u32>();
/// Leaves on either side of a change that it can change, too: they are made one with others.
const NEIGHBOURS: usize = 3;

const _: () = assert!(2 * REGIONS_MAX / LEAF_LEN + 2 <= DIRECTORY_LEN);
const _: () = assert!(size_of::<Leaf>() <= PAGE_LEN && align_of::<Leaf>() <= PAGE_LEN);

/// A frame of regions.
#[repr(C)]
struct Leaf {
    owner: u64,
    len: usize,
    regions: [MaybeUninit<Region>; LEAF_LEN],
}

/// All leaves of one address space or template.
#[derive(Debug)]
pub(super) struct Leaves {
    /// Identifies this list among all; 0 as long as it has changed nothing.
    owner: u64,
    len: usize,
    inline: [u32; INLINE],
    directory: Option<FrameNumber>,
    directory_is_own: bool,
}

impl Leaves {
    pub const EMPTY: Self =
        Self { owner: 0, len: 0, inline: [0; INLINE], directory: None, directory_is_own: false };

    /// The same leaves, to be changed without changing these, which must outlive them.
    pub fn share(&self) -> Self {
        Self { owner: 0, directory_is_own: false, ..*self }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The most frames that a change of `leaf` can take.
    pub fn frames_to_change(&self, leaf: usize) -> usize {
        if self.len == 0 {
            return 1;
        }
        let near = leaf.saturating_sub(NEIGHBOURS)..(leaf + NEIGHBOURS + 1).min(self.len);
        let borrowed = near.clone().filter(|leaf| !self.is_own(*leaf)).count();
        let is_tight = near.into_iter().any(|leaf| self.regions(leaf).len() + 2 > LEAF_LEN);
        // One change can split a leaf twice.
        let new = if is_tight { 2 } else { 0 };
        if borrowed + new == 0 {
            return 0;
        }
        // Who changes the list of frames has room for one more.
        let directory = !self.directory_is_own && self.len + new >= INLINE;
        borrowed + new + usize::from(directory)
    }

    fn numbers(&self) -> &[u32] {
        match self.directory {
            None => &self.inline[..self.len],
            // SAFETY: the directory is ours, or of the list we share, which outlives this one and
            // is not changed; its first `len` numbers were written.
            Some(frame) => unsafe {
                core::slice::from_raw_parts(frame_pointer(frame).cast(), self.len)
            },
        }
    }

    fn frame(&self, leaf: usize) -> FrameNumber {
        FrameNumber::new(self.numbers()[leaf]).expect("a leaf has a frame")
    }

    fn leaf(&self, leaf: usize) -> &Leaf {
        // SAFETY: the frame holds a leaf: ours, or one that is shared and not changed.
        unsafe { &*frame_pointer(self.frame(leaf)).cast() }
    }

    pub fn is_own(&self, leaf: usize) -> bool {
        self.owner != 0 && self.leaf(leaf).owner == self.owner
    }

    /// The regions of a leaf, of which there is at least one.
    pub fn regions(&self, leaf: usize) -> &[Region] {
        let leaf = self.leaf(leaf);
        // SAFETY: the first `len` are always written.
        unsafe { core::slice::from_raw_parts(leaf.regions.as_ptr().cast(), leaf.len) }
    }

    /// The leaf in which a region that starts at `address` is or would be.
    pub fn find(&self, address: u64) -> usize {
        if self.len <= 1 {
            return 0;
        }
        let starts_below = |leaf: &usize| self.regions(*leaf)[0].range.start <= address;
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            if starts_below(&middle) { low = middle + 1 } else { high = middle }
        }
        low.saturating_sub(1)
    }

    /// Changes the regions of a leaf by `change`, which is handed all places and the number in use
    /// and returns the new number.
    fn edit(
        &mut self,
        leaf: usize,
        reservation: &mut Reservation,
        change: impl FnOnce(&mut [MaybeUninit<Region>; LEAF_LEN], usize) -> usize,
    ) {
        let frame = self.make_own(leaf, reservation);
        // SAFETY: the leaf is ours alone, and `self` is borrowed exclusively.
        let leaf: &mut Leaf = unsafe { &mut *frame_pointer(frame).cast() };
        leaf.len = change(&mut leaf.regions, leaf.len);
    }

    /// Inserts a region at a place of a leaf, which is split if it is full.
    pub fn insert(
        &mut self,
        leaf: usize,
        index: usize,
        region: Region,
        reservation: &mut Reservation,
    ) {
        let (mut at, mut index) = (leaf, index);
        let mut is_split = false;
        if self.len == 0 {
            self.add_leaf(0, &[], reservation);
        } else if self.regions(leaf).len() == LEAF_LEN {
            self.split(leaf, reservation);
            is_split = true;
            if index > LEAF_LEN / 2 {
                (at, index) = (leaf + 1, index - LEAF_LEN / 2);
            }
        }
        self.edit(at, reservation, |places, len| {
            places.copy_within(index..len, index + 1);
            places[index] = MaybeUninit::new(region);
            len + 1
        });
        if is_split {
            self.join(leaf + 1, reservation);
            self.join_below(leaf, reservation);
        }
    }

    /// Puts `count` regions in the place of some, for which the leaf has room.
    pub fn splice(
        &mut self,
        leaf: usize,
        from: Range<usize>,
        to: &[Option<Region>; 3],
        count: usize,
        reservation: &mut Reservation,
    ) {
        self.edit(leaf, reservation, |places, len| {
            let end = from.start + count;
            if end != from.end && from.end < len {
                places.copy_within(from.end..len, end);
            }
            let mut places = places[from.start..].iter_mut();
            for region in to {
                if let Some(region) = region
                    && let Some(place) = places.next()
                {
                    *place = MaybeUninit::new(*region);
                }
            }
            len + count - from.len()
        });
    }

    /// Puts a region in the place of one.
    pub fn replace(
        &mut self,
        leaf: usize,
        index: usize,
        region: Region,
        reservation: &mut Reservation,
    ) {
        self.edit(leaf, reservation, |places, len| {
            places[index] = MaybeUninit::new(region);
            len
        });
    }

    /// Takes a region out.
    pub fn remove(&mut self, leaf: usize, index: usize, reservation: &mut Reservation) {
        if self.regions(leaf).len() == 1 {
            self.remove_leaf(leaf, reservation);
            return;
        }
        self.edit(leaf, reservation, |places, len| {
            places.copy_within(index + 1..len, index);
            len - 1
        });
        self.join(leaf, reservation);
        self.join_below(leaf, reservation);
    }

    /// Takes a leaf out.
    pub fn remove_leaf(&mut self, leaf: usize, reservation: &mut Reservation) {
        let frame = self.frame(leaf);
        let is_own = self.is_own(leaf);
        self.edit_numbers(reservation, |numbers, len| {
            numbers.copy_within(leaf + 1..len, leaf);
            len - 1
        });
        if is_own {
            // SAFETY: it was this list's own, which no longer refers to it.
            reservation.put(unsafe { Frame::from_raw(frame) });
        }
        // Leaves around it may fit into one now.
        self.join_below(leaf, reservation);
    }

    fn join_below(&mut self, leaf: usize, reservation: &mut Reservation) {
        if let Some(below) = leaf.checked_sub(1) {
            self.join(below, reservation);
        }
    }

    /// Makes one of a leaf and the next one if they fit.
    fn join(&mut self, leaf: usize, reservation: &mut Reservation) {
        if leaf + 1 >= self.len
            || self.regions(leaf).len() + self.regions(leaf + 1).len() > LEAF_LEN
        {
            return;
        }
        let upper = self.leaf(leaf + 1);
        let (upper, upper_len): (*const Leaf, _) = (upper, upper.len);
        self.edit(leaf, reservation, |places, len| {
            // SAFETY: another leaf, which stays as it is until it is taken out below.
            let upper = unsafe { &(&(*upper).regions)[..upper_len] };
            places[len..len + upper_len].copy_from_slice(upper);
            len + upper_len
        });
        let frame = self.frame(leaf + 1);
        let is_own = self.is_own(leaf + 1);
        self.edit_numbers(reservation, |numbers, len| {
            numbers.copy_within(leaf + 2..len, leaf + 1);
            len - 1
        });
        if is_own {
            // SAFETY: as in `remove_leaf`.
            reservation.put(unsafe { Frame::from_raw(frame) });
        }
    }

    /// Makes two of a full leaf.
    fn split(&mut self, leaf: usize, reservation: &mut Reservation) {
        let mut upper = [MaybeUninit::uninit(); LEAF_LEN - LEAF_LEN / 2];
        self.edit(leaf, reservation, |places, _| {
            upper.copy_from_slice(&places[LEAF_LEN / 2..]);
            LEAF_LEN / 2
        });
        self.add_leaf(leaf + 1, &upper, reservation);
    }

    fn add_leaf(
        &mut self,
        at: usize,
        regions: &[MaybeUninit<Region>],
        reservation: &mut Reservation,
    ) {
        let owner = self.owner();
        let frame = new_leaf(owner, regions, reservation);
        self.edit_numbers(reservation, |numbers, len| {
            numbers.copy_within(at..len, at + 1);
            numbers[at] = frame.get();
            len + 1
        });
    }

    /// This list's name, which it gets when it first changes something.
    fn owner(&mut self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        if self.owner == 0 {
            self.owner = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        }
        self.owner
    }

    /// Makes a leaf this list's own, if it is not; returns its frame.
    #[inline]
    fn make_own(&mut self, leaf: usize, reservation: &mut Reservation) -> FrameNumber {
        let frame = self.frame(leaf);
        // SAFETY: as in `leaf`.
        let shared: &Leaf = unsafe { &*frame_pointer(frame).cast() };
        if self.owner != 0 && shared.owner == self.owner {
            return frame;
        }
        self.copy_leaf(leaf, reservation)
    }

    #[inline(never)]
    fn copy_leaf(&mut self, leaf: usize, reservation: &mut Reservation) -> FrameNumber {
        let owner = self.owner();
        let shared = self.leaf(leaf);
        let frame = new_leaf(owner, &shared.regions[..shared.len], reservation);
        self.edit_numbers(reservation, |numbers, len| {
            numbers[leaf] = frame.get();
            len
        });
        frame
    }

    /// Changes the list of frames: `change` is handed room for one more, and the number in use, and
    /// returns the new number.
    fn edit_numbers(
        &mut self,
        reservation: &mut Reservation,
        change: impl FnOnce(&mut [u32], usize) -> usize,
    ) {
        let needs_directory = self.len >= INLINE;
        if needs_directory && !self.directory_is_own {
            let frame = reservation.take_promised().into_raw();
            // SAFETY: the frame is new and ours, and longer than all numbers together.
            unsafe {
                frame_pointer(frame)
                    .cast::<u32>()
                    .copy_from_nonoverlapping(self.numbers().as_ptr(), self.len);
            }
            (self.directory, self.directory_is_own) = (Some(frame), true);
        } else if !needs_directory && let Some(frame) = self.directory.take() {
            // SAFETY: as in `numbers`.
            let numbers =
                unsafe { core::slice::from_raw_parts(frame_pointer(frame).cast(), self.len) };
            self.inline[..self.len].copy_from_slice(numbers);
            if core::mem::take(&mut self.directory_is_own) {
                // SAFETY: it was this list's own, which no longer refers to it.
                reservation.put(unsafe { Frame::from_raw(frame) });
            }
        }
        let len = self.len;
        let numbers = match self.directory {
            None => &mut self.inline[..],
            // SAFETY: the directory is ours, and a whole frame of numbers.
            Some(frame) => unsafe {
                core::slice::from_raw_parts_mut(frame_pointer(frame).cast(), DIRECTORY_LEN)
            },
        };
        self.len = change(numbers, len);
    }

    /// Frames that are this list's own.
    pub fn frames(&self) -> usize {
        let own = (0..self.len).filter(|leaf| self.is_own(*leaf)).count();
        own + usize::from(self.directory_is_own)
    }

    /// Forgets all regions, and passes on every frame that was this list's own.
    pub fn clear(&mut self, mut give: impl FnMut(Frame)) {
        for leaf in 0..self.len {
            if self.is_own(leaf) {
                // SAFETY: it is this list's own, which is forgotten below.
                give(unsafe { Frame::from_raw(self.frame(leaf)) });
            }
        }
        let Self { directory, directory_is_own, .. } = core::mem::replace(self, Self::EMPTY);
        if let (Some(frame), true) = (directory, directory_is_own) {
            // SAFETY: as above.
            give(unsafe { Frame::from_raw(frame) });
        }
    }
}

fn new_leaf(
    owner: u64,
    regions: &[MaybeUninit<Region>],
    reservation: &mut Reservation,
) -> FrameNumber {
    let frame = reservation.take_promised().into_raw();
    let leaf = frame_pointer(frame).cast::<Leaf>();
    // SAFETY: the frame is new and ours; every bit pattern is a leaf's, whose regions may be
    // unwritten.
    unsafe {
        (*leaf).owner = owner;
        (*leaf).len = regions.len();
        (&mut (*leaf).regions)[..regions.len()].copy_from_slice(regions);
    }
    frame
}
