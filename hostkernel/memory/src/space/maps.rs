//! What an action maps itself.

use super::layout::{MAPPED_START, PAGE, USER_END};
use super::ranges::Mapped;
use super::{AddressSpace, Refusal};
use crate::Protection;
use crate::plan::PageRange;
use crate::regions::{Region, RegionReject, Source};

impl From<RegionReject> for Refusal {
    fn from(reject: RegionReject) -> Self {
        match reject {
            RegionReject::TooMany => Self::TooManyRegions,
            RegionReject::OutOfFrames => Self::OutOfMemory,
        }
    }
}

impl AddressSpace {
    /// Maps `len` bytes of zeroed memory, rounded up to pages; returns the address.
    ///
    /// # Errors
    /// [`Refusal`] if the limit cannot cover it or the range is absurd.
    pub fn map(
        &mut self,
        len: u64,
        protection: impl Into<Option<Protection>>,
    ) -> Result<u64, Refusal> {
        let len = len.checked_next_multiple_of(PAGE).filter(|len| *len > 0);
        let len = len.ok_or(Refusal::BadRange)?;
        // A host image reserves what it may never touch.
        if !self.is_host && len / PAGE > self.reservation.remaining() as u64 {
            return Err(Refusal::OutOfMemory);
        }
        let range = self.free_range(len).ok_or(Refusal::OutOfMemory)?;
        let region = Region { range, source: Source::ZERO, protection: protection.into() };
        self.regions.set(range, Some(region), &mut self.reservation)?;
        self.mapped_end = range.end + PAGE;
        Ok(range.start)
    }

    /// Where nothing is mapped, with a guard page on either side: behind what was mapped last, and
    /// where addresses come to their end, from their start again.
    fn free_range(&self, len: u64) -> Option<PageRange> {
        let fits = |start: u64| start.checked_add(len).filter(|end| *end < USER_END);
        for from in [self.mapped_end, MAPPED_START] {
            let mut start = from;
            while let Some(end) = fits(start) {
                match self.regions.next(start - PAGE).filter(|it| it.range.start <= end) {
                    None => return Some(PageRange { start, end }),
                    Some(in_the_way) => start = in_the_way.range.end + PAGE,
                }
            }
        }
        None
    }

    /// Removes whole pages that [`Self::map`] made.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if they are not such pages.
    pub fn unmap(&mut self, address: u64, len: u64) -> Result<(), Refusal> {
        let range = self.mapped_range(address, len)?;
        self.take_away(range)
    }

    /// Puts a region, or nothing, in the place of whatever is in a range.
    pub(super) fn replace(&mut self, range: PageRange, new: Option<Region>) -> Result<(), Refusal> {
        let Self { tables, regions, reservation, template, .. } = self;
        let mapped = tables.mapped(range);
        if mapped == Mapped::Somewhere {
            tables.open_edges(range, reservation, template)?;
        }
        regions.set(range, new, reservation)?;
        tables.clear_mapped(range, mapped, reservation);
        Ok(())
    }

    /// Takes away whatever is in a range.
    pub(super) fn take_away(&mut self, range: PageRange) -> Result<(), Refusal> {
        self.replace(range, None)?;
        if self.mapped_end == range.end + PAGE {
            // Who maps and unmaps by turns gets the same addresses, and needs no other tables.
            self.mapped_end = range.start;
        }
        Ok(())
    }

    /// Changes the protection of whole pages that [`Self::map`] made.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if they are not such pages.
    pub fn protect(&mut self, address: u64, len: u64, to: Protection) -> Result<(), Refusal> {
        let range = self.mapped_range(address, len)?;
        self.change_protection(range, Some(to))
    }

    /// Changes the protection of a range without gaps.
    pub(super) fn change_protection(
        &mut self,
        range: PageRange,
        to: Option<Protection>,
    ) -> Result<(), Refusal> {
        let Self { tables, regions, reservation, template, .. } = self;
        let mapped = tables.mapped(range);
        if mapped == Mapped::Somewhere {
            tables.open_range(range, reservation, template)?;
        }
        let noted = regions.protect(range, to, reservation);
        if noted.is_ok() {
            tables.protect_mapped(range, mapped, to);
            return Ok(());
        }
        // What entries allow is always what the notes say.
        let mut next = range.start;
        while let Some(region) = regions.find(next).filter(|_| next < range.end) {
            let PageRange { end, .. } = region.part(PageRange { start: next, ..range }).range;
            tables.protect_mapped(PageRange { start: next, end }, mapped, region.protection);
            next = end;
        }
        Ok(noted?)
    }

    fn mapped_range(&self, address: u64, len: u64) -> Result<PageRange, Refusal> {
        let end = len.checked_next_multiple_of(PAGE).and_then(|len| address.checked_add(len));
        let range = PageRange { start: address, end: end.ok_or(Refusal::BadRange)? };
        let aligned = address.is_multiple_of(PAGE) && range.start < range.end;
        let is_mapped = aligned && self.regions.covers(range, |_| true);
        if is_mapped { Ok(range) } else { Err(Refusal::BadRange) }
    }
}
