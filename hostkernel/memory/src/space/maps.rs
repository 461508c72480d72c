//! What an action maps itself.

use super::layout::{PAGE, USER_END};
use super::{AddressSpace, Refusal};
use crate::Protection;
use crate::regions::Region;
use crate::table::Entry;
use crate::template::PageRange;

impl AddressSpace {
    /// Maps `len` bytes of zeroed memory, rounded up to pages; returns the address.
    ///
    /// # Errors
    /// [`Refusal`] if the limit cannot cover it or the range is absurd.
    pub fn map(&mut self, len: u64, protection: Protection) -> Result<u64, Refusal> {
        let len = len.checked_next_multiple_of(PAGE).filter(|len| *len > 0);
        let len = len.ok_or(Refusal::BadRange)?;
        if len / PAGE > self.reservation.remaining() as u64 {
            return Err(Refusal::OutOfMemory);
        }
        let start = self.mapped_end;
        // A guard page keeps neighbours apart.
        let end = start.checked_add(len).filter(|end| *end + PAGE <= USER_END);
        let range = PageRange { start, end: end.ok_or(Refusal::OutOfMemory)? };
        let region = Region { range, protection };
        self.regions.insert(region).map_err(|_| Refusal::TooManyRegions)?;
        self.mapped_end = range.end + PAGE;
        Ok(start)
    }

    /// Removes whole pages that [`Self::map`] made.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if they are not such pages.
    pub fn unmap(&mut self, address: u64, len: u64) -> Result<(), Refusal> {
        let range = self.mapped_range(address, len)?;
        self.regions.carve(range, None).map_err(|_| Refusal::TooManyRegions)?;
        let Self { tables, reservation, .. } = self;
        tables.for_owned_leaves(range.start, range.end, reservation, |table, slot, entry| {
            table.set(slot, Entry::EMPTY);
            entry.frame()
        });
        Ok(())
    }

    /// Changes the protection of whole pages that [`Self::map`] made.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if they are not such pages.
    pub fn protect(&mut self, address: u64, len: u64, to: Protection) -> Result<(), Refusal> {
        let range = self.mapped_range(address, len)?;
        self.regions.carve(range, Some(to)).map_err(|_| Refusal::TooManyRegions)?;
        let Self { tables, reservation, .. } = self;
        tables.for_owned_leaves(range.start, range.end, reservation, |table, slot, entry| {
            table.set(slot, entry.with_protection(to));
            None
        });
        Ok(())
    }

    fn mapped_range(&self, address: u64, len: u64) -> Result<PageRange, Refusal> {
        let end = len.checked_next_multiple_of(PAGE).and_then(|len| address.checked_add(len));
        let range = PageRange { start: address, end: end.ok_or(Refusal::BadRange)? };
        let aligned = address.is_multiple_of(PAGE) && range.start < range.end;
        if aligned && self.regions.covers(range) { Ok(range) } else { Err(Refusal::BadRange) }
    }
}
