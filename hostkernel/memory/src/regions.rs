//! The ranges that an action mapped itself, before any page exists in them.

use alloc::vec::Vec;

use super::template::PageRange;
use crate::Protection;
use limits::REGIONS_MAX;

/// A range with one protection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub range: PageRange,
    pub protection: Protection,
}

/// All of them, ascending and disjoint.
#[derive(Debug)]
pub(super) struct Regions {
    list: Vec<Region>,
    max: usize,
}

/// There are already as many regions as there may be, or no room on the heap to note them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyRegions;

impl Regions {
    /// No regions, and how many there may be. Few actions map anything, so the list is made then.
    pub fn new(max: usize) -> Self {
        Self { list: Vec::new(), max: max.min(REGIONS_MAX) }
    }

    /// What may be done at an address.
    pub fn find(&self, address: u64) -> Option<Protection> {
        let below = self.list.partition_point(|region| region.range.start <= address);
        let region = self.list.get(below.checked_sub(1)?)?;
        (address < region.range.end).then_some(region.protection)
    }

    /// Adds a region that overlaps no other.
    pub fn insert(&mut self, region: Region) -> Result<(), TooManyRegions> {
        if self.list.len() >= self.max {
            return Err(TooManyRegions);
        }
        // Room for all at once: what is split later needs none.
        let missing = REGIONS_MAX.saturating_sub(self.list.len());
        self.list.try_reserve_exact(missing).map_err(|_| TooManyRegions)?;
        let at = self.list.partition_point(|other| other.range.start < region.range.start);
        let clear_below = at == 0 || self.list[at - 1].range.end <= region.range.start;
        let clear_above =
            self.list.get(at).is_none_or(|other| region.range.end <= other.range.start);
        assert!(clear_below && clear_above, "regions are disjoint");
        self.list.insert(at, region);
        Ok(())
    }

    /// Whether regions cover `range` without a gap.
    pub fn covers(&self, range: PageRange) -> bool {
        let mut next = range.start;
        for region in &self.list {
            if region.range.end <= next {
                continue;
            }
            if region.range.start > next {
                return false;
            }
            next = region.range.end;
            if next >= range.end {
                return true;
            }
        }
        false
    }

    /// Replaces `range`, which regions cover, by `protection` or by nothing.
    pub fn carve(
        &mut self,
        range: PageRange,
        protection: Option<Protection>,
    ) -> Result<(), TooManyRegions> {
        // The first and the last region may be split in two; whole ones may go. So who is at the
        // bound can still give back what it has.
        let left_of = |region: &Region| {
            let outside = region.range.end <= range.start || range.end <= region.range.start;
            let below = region.range.start < range.start;
            let above = range.end < region.range.end;
            match outside {
                true => 1,
                false => {
                    usize::from(below) + usize::from(above) + usize::from(protection.is_some())
                }
            }
        };
        if self.list.iter().map(left_of).sum::<usize>() > self.max {
            return Err(TooManyRegions);
        }
        let mut index = 0;
        while index < self.list.len() {
            let region = self.list[index];
            let start = region.range.start.max(range.start);
            let end = region.range.end.min(range.end);
            if start >= end {
                index += 1;
                continue;
            }
            self.list.remove(index);
            let pieces = [
                (PageRange { start: region.range.start, end: start }, Some(region.protection)),
                (PageRange { start, end }, protection),
                (PageRange { start: end, end: region.range.end }, Some(region.protection)),
            ];
            for (piece, protection) in pieces {
                if let Some(protection) = protection
                    && piece.start < piece.end
                {
                    self.list.insert(index, Region { range: piece, protection });
                    index += 1;
                }
            }
        }
        Ok(())
    }
}
