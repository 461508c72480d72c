//! The ranges of one address space: what may be touched there, before any page exists.

use alloc::vec::Vec;

use super::template::PageRange;
use crate::config::REGIONS_MAX;
use crate::image::Protection;

/// What a page of a region holds when it is first touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// The template's page, or zeros where the template has none.
    Image,
    /// Pages placed when the region was made; there is nothing to provide later.
    Placed,
    /// Zeros.
    Zero,
    /// Zeros, and the page below the region means stack overflow.
    Stack,
    /// Zeros; the action asked for it and may unmap or protect it.
    Mapped,
}

/// A range with one backing and one protection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub range: PageRange,
    pub protection: Protection,
    pub backing: Backing,
    /// Smallest range that holds every page this address space owns in the region: what teardown
    /// looks at. Empty while nothing was touched.
    pub touched: PageRange,
}

impl Region {
    pub fn new(range: PageRange, protection: Protection, backing: Backing) -> Self {
        let touched = PageRange { start: range.end, end: range.start };
        Self { range, protection, backing, touched }
    }

    pub fn touch(&mut self, page: PageRange) {
        self.touched.start = self.touched.start.min(page.start);
        self.touched.end = self.touched.end.max(page.end);
    }

    /// The part of the region inside `range`.
    fn clipped(mut self, range: PageRange) -> Self {
        self.touched.start = self.touched.start.max(range.start);
        self.touched.end = self.touched.end.min(range.end);
        self.range = range;
        self
    }
}

/// All regions, ascending and disjoint; at most [`REGIONS_MAX`].
#[derive(Debug)]
pub(super) struct Regions(Vec<Region>);

/// There are already [`REGIONS_MAX`] regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyRegions;

impl Regions {
    pub fn new() -> Self {
        Self(Vec::with_capacity(REGIONS_MAX))
    }

    pub fn empty() -> Self {
        Self(Vec::new())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.0.iter()
    }

    /// The region that holds `address`.
    pub fn find(&mut self, address: u64) -> Option<&mut Region> {
        let after = self.0.partition_point(|region| region.range.start <= address);
        let region = self.0.get_mut(after.checked_sub(1)?)?;
        (address < region.range.end).then_some(region)
    }

    /// Adds a region that overlaps no other.
    pub fn insert(&mut self, region: Region) -> Result<(), TooManyRegions> {
        if self.0.len() == REGIONS_MAX {
            return Err(TooManyRegions);
        }
        let at = self.0.partition_point(|other| other.range.start < region.range.start);
        let clear_below = at == 0 || self.0[at - 1].range.end <= region.range.start;
        let clear_above = self.0.get(at).is_none_or(|other| region.range.end <= other.range.start);
        assert!(clear_below && clear_above, "regions are disjoint");
        self.0.insert(at, region);
        Ok(())
    }

    /// Whether [`Backing::Mapped`] regions cover `range` without a gap.
    pub fn covers_mapped(&self, range: PageRange) -> bool {
        let mut next = range.start;
        for region in &self.0 {
            if region.range.end <= next {
                continue;
            }
            if region.range.start > next || region.backing != Backing::Mapped {
                return false;
            }
            next = region.range.end;
            if next >= range.end {
                return true;
            }
        }
        false
    }

    /// Replaces `range`, which [`Backing::Mapped`] regions cover, by `protection` or by nothing.
    pub fn carve(
        &mut self,
        range: PageRange,
        protection: Option<Protection>,
    ) -> Result<(), TooManyRegions> {
        // At most the first and the last region are split in two.
        if self.0.len() + 2 > REGIONS_MAX {
            return Err(TooManyRegions);
        }
        let mut index = 0;
        while index < self.0.len() {
            let region = self.0[index];
            let start = region.range.start.max(range.start);
            let end = region.range.end.min(range.end);
            if start >= end {
                index += 1;
                continue;
            }
            self.0.remove(index);
            let pieces = [
                (PageRange { start: region.range.start, end: start }, Some(region.protection)),
                (PageRange { start, end }, protection),
                (PageRange { start: end, end: region.range.end }, Some(region.protection)),
            ];
            for (piece, protection) in pieces {
                if let Some(protection) = protection
                    && piece.start < piece.end
                {
                    self.0.insert(index, Region { protection, ..region.clipped(piece) });
                    index += 1;
                }
            }
        }
        Ok(())
    }
}
