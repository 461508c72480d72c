//! The ranges of an address space, before any page exists in them: sorted, disjoint, as few as
//! there can be, in frames that are charged to the instance. Found in logarithmic time.

mod leaves;
mod region;
mod splice;
#[cfg(test)]
mod tests;

use super::frames::{Frame, OutOfFrames, Reservation};
use crate::Protection;
use crate::plan::PageRange;
use leaves::Leaves;
pub(super) use region::{PayloadPage, Region, Source};

/// Why regions cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegionReject {
    /// There are as many as there may be.
    TooMany,
    /// The memory limit does not cover the notes.
    OutOfFrames,
}

impl From<OutOfFrames> for RegionReject {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Regions {
    leaves: Leaves,
    len: usize,
    max: usize,
}

impl Regions {
    /// No regions, and how many there may be.
    pub const fn new(max: usize) -> Self {
        Self { leaves: Leaves::EMPTY, len: 0, max }
    }

    /// The same regions, to be changed without changing these, which must outlive them.
    pub fn share(&self) -> Self {
        Self { leaves: self.leaves.share(), ..*self }
    }

    /// Where a region is, or would be: the first that ends above `address`.
    fn place(&self, address: u64) -> (usize, usize) {
        if self.leaves.len() == 0 {
            return (0, 0);
        }
        let leaf = self.leaves.find(address);
        let regions = self.leaves.regions(leaf);
        let index = regions.partition_point(|region| region.range.end <= address);
        if index == regions.len() && leaf + 1 < self.leaves.len() {
            (leaf + 1, 0)
        } else {
            (leaf, index)
        }
    }

    /// The first region that ends above `address`.
    pub fn next(&self, address: u64) -> Option<Region> {
        if self.leaves.len() == 0 {
            return None;
        }
        let (leaf, index) = self.place(address);
        self.leaves.regions(leaf).get(index).copied()
    }

    /// The region at an address.
    pub fn find(&self, address: u64) -> Option<Region> {
        self.next(address).filter(|region| region.range.start <= address)
    }

    /// Whether regions cover `range` without a gap, and all are as `f` wants them.
    pub fn covers(&self, range: PageRange, mut f: impl FnMut(Region) -> bool) -> bool {
        let mut next = range.start;
        while next < range.end {
            match self.find(next) {
                Some(region) if f(region) => next = region.range.end,
                _ => return false,
            }
        }
        true
    }

    /// Puts a region, or nothing, in the place of whatever is in `range`.
    ///
    /// # Errors
    /// [`RegionReject`]; then nothing changed.
    pub fn set(
        &mut self,
        range: PageRange,
        new: Option<Region>,
        reservation: &mut Reservation,
    ) -> Result<(), RegionReject> {
        assert!(range.start < range.end && new.is_none_or(|new| new.range == range));
        if let Some(done) = self.splice(range, new, reservation) {
            return done;
        }
        self.check(range, new.is_some())?;
        let (leaf, _) = self.place(range.start);
        let (last, _) = self.place(range.end);
        let to_change = self.leaves.frames_to_change(leaf)
            + if last == leaf { 0 } else { self.leaves.frames_to_change(last) };
        if to_change > 0 && (new.is_some() || self.next(range.start).is_some()) {
            reservation.holds(to_change)?;
        }
        self.cut(range, reservation);
        if let Some(new) = new {
            self.insert(new, reservation);
        }
        Ok(())
    }

    /// Gives all regions in `range` this protection.
    ///
    /// # Errors
    /// [`RegionReject`]. When memory runs out, the lower part of the range may have changed.
    pub fn protect(
        &mut self,
        range: PageRange,
        protection: Option<Protection>,
        reservation: &mut Reservation,
    ) -> Result<(), RegionReject> {
        // Most often all of it is one region, and that gives way to three at most.
        if let Some(region) = self.find(range.start).filter(|it| it.range.end >= range.end)
            && (region.protection == protection || self.len + 2 <= self.max)
        {
            let part = Region { protection, ..region.part(range) };
            let changes = region.protection != protection;
            return if changes { self.set(range, Some(part), reservation) } else { Ok(()) };
        }
        let is_cut = |address| self.find(address).is_some_and(|it| it.range.start < address);
        let more = usize::from(is_cut(range.start)) + usize::from(is_cut(range.end));
        if self.len + more > self.max {
            return Err(RegionReject::TooMany);
        }
        let mut next = range.start;
        while let Some(region) = self.next(next).filter(|it| it.range.start < range.end) {
            let region = region.part(PageRange { start: next, end: range.end });
            next = region.range.end;
            if region.protection != protection {
                self.set(region.range, Some(Region { protection, ..region }), reservation)?;
            }
            if next >= range.end {
                break;
            }
        }
        Ok(())
    }

    /// Whether there is room for what a change may make more of.
    fn check(&self, range: PageRange, inserts: bool) -> Result<(), RegionReject> {
        let first = self.next(range.start).filter(|it| it.range.start < range.end);
        let splits =
            first.is_some_and(|it| it.range.start < range.start && it.range.end > range.end);
        let mut more = usize::from(inserts) + usize::from(splits);
        // Who is at the bound can still change what it has.
        let mut next = range.start;
        while more > 0 && self.len + more > self.max {
            let whole = self.next(next).filter(|it| it.range.end <= range.end);
            let Some(whole) = whole else { return Err(RegionReject::TooMany) };
            more -= usize::from(whole.range.start >= range.start);
            next = whole.range.end;
        }
        Ok(())
    }

    /// Takes everything in `range` out.
    fn cut(&mut self, range: PageRange, reservation: &mut Reservation) {
        loop {
            if self.leaves.len() == 0 {
                return;
            }
            let (leaf, index) = self.place(range.start);
            let regions = self.leaves.regions(leaf);
            let Some(old) = regions.get(index).filter(|it| it.range.start < range.end) else {
                return;
            };
            let (old, in_leaf) = (*old, regions.len());
            let whole_leaf = index == 0
                && old.range.start >= range.start
                && regions[in_leaf - 1].range.end <= range.end;
            match (old.range.start < range.start, old.range.end > range.end) {
                (true, true) => {
                    let (below, above) = (old.below(range.start), old.above(range.end));
                    self.leaves.replace(leaf, index, below, reservation);
                    self.leaves.insert(leaf, index + 1, above, reservation);
                    self.len += 1;
                }
                (true, false) => {
                    self.leaves.replace(leaf, index, old.below(range.start), reservation);
                }
                (false, true) => {
                    self.leaves.replace(leaf, index, old.above(range.end), reservation);
                }
                (false, false) if whole_leaf => {
                    self.leaves.remove_leaf(leaf, reservation);
                    self.len -= in_leaf;
                }
                (false, false) => {
                    self.leaves.remove(leaf, index, reservation);
                    self.len -= 1;
                }
            }
        }
    }

    /// Adds a region that overlaps no other; neighbours that are alike become one with it.
    fn insert(&mut self, mut new: Region, reservation: &mut Reservation) {
        if let Some(below) = new.range.start.checked_sub(1).and_then(|at| self.find(at))
            && let Some(joined) = below.joined(new)
        {
            self.remove_at(below.range.start, reservation);
            new = joined;
        }
        if let Some(above) = self.find(new.range.end)
            && let Some(joined) = new.joined(above)
        {
            self.remove_at(above.range.start, reservation);
            new = joined;
        }
        let (leaf, index) = self.place(new.range.start);
        self.leaves.insert(leaf, index, new, reservation);
        self.len += 1;
    }

    fn remove_at(&mut self, start: u64, reservation: &mut Reservation) {
        let (leaf, index) = self.place(start);
        self.leaves.remove(leaf, index, reservation);
        self.len -= 1;
    }

    /// Frames that are their own.
    pub fn frames(&self) -> usize {
        self.leaves.frames()
    }

    /// Forgets all, and passes on every frame that was their own.
    pub fn clear(&mut self, give: impl FnMut(Frame)) {
        if self.leaves.len() > 0 {
            self.leaves.clear(give);
        }
        self.len = 0;
    }
}
