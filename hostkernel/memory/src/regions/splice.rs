//! The usual change of regions, in one step: what is there gives way to at most three, in a leaf
//! that has room for them.
//!
//! What does not fit that picture (borders between leaves, leaves that are full or become few) is
//! [`Regions::set`]'s, which takes one step after the other.

use core::ops::Range;

use super::leaves::{INLINE, LEAF_LEN};
use super::{Region, RegionReject, Regions};
use crate::frames::Reservation;
use crate::plan::PageRange;

/// Regions `from` of a leaf give way to the first `len` of `to`.
pub(super) struct Change {
    leaf: usize,
    from: Range<usize>,
    to: [Region; 3],
    len: usize,
}

impl Change {
    /// Adds a region above the others, or makes the last of them longer.
    fn push(&mut self, region: Region) {
        let last = self.to[..self.len].last_mut();
        if let Some((last, joined)) = last.and_then(|last| Some((last.joined(region)?, last))) {
            *joined = last;
        } else if let Some(place) = self.to.get_mut(self.len) {
            *place = region;
            self.len += 1;
        }
    }
}

impl Regions {
    /// The change that puts a region, or nothing, in the place of what is in `range`, if it is one
    /// of the usual ones.
    pub(super) fn splice(&self, range: PageRange, new: Option<Region>) -> Option<Change> {
        if self.leaves.len() == 0 {
            return None;
        }
        let (leaf, first) = self.place(range.start);
        let regions = self.leaves.regions(leaf);
        let inside = regions[first..].iter().take_while(|it| it.range.start < range.end).count();
        let end = first + inside;
        // Neighbours in other leaves may be one with the new region.
        let is_first = leaf == 0 || first > 0;
        let is_last = leaf + 1 == self.leaves.len() || end < regions.len();
        if !is_first || !is_last {
            return None;
        }
        let mut change =
            Change { leaf, from: first..end, to: [new.unwrap_or(regions[0]); 3], len: 0 };
        match regions.get(first).filter(|it| inside > 0 && it.range.start < range.start) {
            Some(cut) => change.push(cut.below(range.start)),
            None => {
                let below = first.checked_sub(1).and_then(|at| regions.get(at));
                if let Some((below, new)) = below.copied().zip(new)
                    && below.joined(new).is_some()
                {
                    change.from.start -= 1;
                    change.push(below);
                }
            }
        }
        if let Some(new) = new {
            change.push(new);
        }
        let last = end.checked_sub(1).and_then(|at| regions.get(at)).filter(|_| inside > 0);
        match last.filter(|it| it.range.end > range.end) {
            Some(cut) => change.push(cut.above(range.end)),
            None => {
                let above = regions.get(end).copied();
                let joined = above.zip(new).filter(|(above, new)| new.joined(*above).is_some());
                if let Some((above, _)) = joined {
                    change.from.end += 1;
                    change.push(above);
                }
            }
        }
        let shrinks = change.len < change.from.len();
        let len = regions.len() + change.len - change.from.len();
        let fits = len <= LEAF_LEN && len > 0 && !(shrinks && self.leaves.len() > 1);
        let has_room = self.len + change.len - change.from.len() <= self.max;
        // A copy of the leaf may need a copy of the directory, too.
        let is_simple = self.leaves.is_own(leaf) || self.leaves.len() < INLINE;
        (fits && has_room && is_simple).then_some(change)
    }

    /// Makes a change that [`Self::splice`] found.
    pub(super) fn apply(
        &mut self,
        Change { leaf, from, to, len }: Change,
        reservation: &mut Reservation,
    ) -> Result<(), RegionReject> {
        let is_same = len == from.len() && self.leaves.regions(leaf)[from.clone()] == to[..len];
        if is_same {
            return Ok(());
        }
        if !self.leaves.is_own(leaf) {
            reservation.holds(1)?;
        }
        self.len = self.len + len - from.len();
        self.leaves.splice(leaf, from, &to[..len], reservation);
        Ok(())
    }
}
