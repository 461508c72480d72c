//! The ranges of one address space: what may be touched there, before any page exists.

use alloc::vec::Vec;

use super::template::PageRange;
use crate::config::{REGIONS_MAX, SEGMENTS_MAX};
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
}

/// All regions, ascending and disjoint; at most [`REGIONS_MAX`].
#[derive(Debug)]
pub(super) struct Regions(Vec<Region>);

/// There are already [`REGIONS_MAX`] regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyRegions;

impl Regions {
    /// No regions, and a list to put them on.
    pub fn new(mut list: Vec<Region>) -> Self {
        list.clear();
        list.reserve_exact(REGIONS_MAX);
        Self(list)
    }

    /// The list, for the next instance.
    pub fn take_list(&mut self) -> Vec<Region> {
        core::mem::take(&mut self.0)
    }

    /// The first regions: those of an image, ascending, and above them windows, ascending and
    /// disjoint. A window without pages is none.
    pub fn start<const N: usize>(
        &mut self,
        image: &[Region],
        windows: [(PageRange, Protection, Backing); N],
    ) {
        const { assert!(N + SEGMENTS_MAX <= REGIONS_MAX, "an instance has room for what it maps") };
        self.0.extend_from_slice(image);
        for (range, protection, backing) in windows {
            if range.start < range.end {
                self.0.push(Region { range, protection, backing });
            }
        }
    }

    /// The region that holds `address`.
    pub fn find(&self, address: u64) -> Option<&Region> {
        // Windows are above the image and asked for most; an instance has few regions.
        let below = self.0.iter().rev().find(|region| region.range.start <= address)?;
        (address < below.range.end).then_some(below)
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
        if self.0.iter().map(left_of).sum::<usize>() > REGIONS_MAX {
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
                    self.0.insert(index, Region { range: piece, protection, ..region });
                    index += 1;
                }
            }
        }
        Ok(())
    }
}
