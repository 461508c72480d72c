//! The usual change of regions, in one step: what is there gives way to at most three, in a leaf
//! that has room for them.
//!
//! What does not fit that picture (borders between leaves, leaves that are full or become few) is
//! [`Regions::set`]'s, which takes one step after the other.

use super::leaves::{INLINE, LEAF_LEN};
use super::{Region, RegionReject, Regions};
use crate::frames::Reservation;
use crate::plan::PageRange;

impl Regions {
    /// Puts a region, or nothing, in the place of what is in `range`, if that is one of the usual
    /// changes; otherwise nothing happens and there is no answer.
    #[inline]
    pub(super) fn splice(
        &mut self,
        range: PageRange,
        new: Option<Region>,
        reservation: &mut Reservation,
    ) -> Option<Result<(), RegionReject>> {
        if self.leaves.len() == 0 {
            return None;
        }
        let (leaf, first) = self.place(range.start);
        let regions = self.leaves.regions(leaf);
        let mut end = first;
        while regions.get(end).is_some_and(|it| it.range.start < range.end) {
            end += 1;
        }
        // Neighbours in other leaves may be one with the new region.
        let is_first = leaf == 0 || first > 0;
        let is_last = leaf + 1 == self.leaves.len() || end < regions.len();
        if !is_first || !is_last {
            return None;
        }
        // What stays of those that reach out of the range, and what lies between.
        let inside = &regions[first..end];
        let low = inside.first().filter(|it| it.range.start < range.start);
        let high = inside.last().filter(|it| it.range.end > range.end);
        let mut to =
            [low.map(|low| low.below(range.start)), new, high.map(|high| high.above(range.end))];
        let mut from = first..end;
        if let [low, Some(middle), high] = &mut to {
            let below = low.as_ref().or(first.checked_sub(1).and_then(|at| regions.get(at)));
            if let Some(joined) = below.and_then(|below| below.joined(*middle)) {
                *middle = joined;
                from.start -= usize::from(low.take().is_none());
            }
            let above = high.as_ref().or(regions.get(end));
            if let Some(joined) = above.and_then(|above| middle.joined(*above)) {
                *middle = joined;
                from.end += usize::from(high.take().is_none());
            }
        }
        let count = to.iter().fold(0, |count, it| count + usize::from(it.is_some()));
        let shrinks = count < from.len();
        let len = regions.len() + count - from.len();
        let fits = len <= LEAF_LEN && len > 0 && !(shrinks && self.leaves.len() > 1);
        let has_room = self.len + count - from.len() <= self.max;
        let is_own = self.leaves.is_own(leaf);
        // A copy of the leaf may need a copy of the directory, too.
        if !fits || !has_room || !(is_own || self.leaves.len() < INLINE) {
            return None;
        }
        if !is_own {
            if regions[from.clone()].iter().eq(to.iter().flatten()) {
                return Some(Ok(()));
            }
            if let Err(out) = reservation.holds(1) {
                return Some(Err(out.into()));
            }
        }
        self.len = self.len + count - from.len();
        self.leaves.splice(leaf, from, &to, count, reservation);
        Some(Ok(()))
    }
}
