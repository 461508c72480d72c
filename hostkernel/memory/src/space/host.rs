//! What only host images can do with their address space: put memory at an address of their choice,
//! the payload's too, take anything away, and protect anything.

use alloc::sync::Arc;

use super::layout::{FIXED, PAGE, STACK, USER_END, WINDOWS_START, Windows};
use super::ranges::Mapped;
use super::{AddressSpace, Refusal};
use crate::Protection;
use crate::buffer::PageBuffer;
use crate::plan::PageRange;
use crate::regions::{PayloadPage, Region, Regions, Source};
use crate::template::Backing;
use limits::{PAGE_LEN, REGIONS_MAX, STAGES_MAX};

impl AddressSpace {
    /// Names the file that this instance of a host image is to prepare. Before [`Self::lay_out`].
    ///
    /// # Errors
    /// [`Refusal::TooManyStages`] if its template may not be the base of another.
    pub fn set_payload(&mut self, payload: Arc<PageBuffer>) -> Result<(), Refusal> {
        self.payload_stage = self.template.stages();
        if self.payload_stage >= STAGES_MAX {
            return Err(Refusal::TooManyStages);
        }
        self.payload = Some(payload);
        Ok(())
    }

    /// Length of the payload.
    #[must_use]
    pub fn payload_len(&self) -> u64 {
        self.payload.as_ref().map_or(0, |payload| payload.len() as u64)
    }

    /// Notes what there is from the start, or what there was when the instance was frozen that this
    /// one is made from.
    pub(super) fn lay_out_regions(&mut self) -> Result<(), Refusal> {
        let Self { regions, reservation, template, windows, .. } = self;
        if let Some(frozen) = template.frozen() {
            *regions = frozen.regions.share();
            if self.payload.is_none() {
                self.payload = Some(Arc::clone(&frozen.payload));
                self.payload_stage = template.stages() - 1;
            }
            windows.heap = frozen.heap;
            return Ok(());
        }
        *regions = Regions::new(REGIONS_MAX);
        let segments = template.segments().map(|(range, it)| (range, Source::IMAGE, it));
        let own = [STACK, windows.heap].map(|it| (it, Source::ZERO, Protection::ReadWrite));
        for (range, source, protection) in segments.chain(own) {
            let region = Region { range, source, protection: Some(protection) };
            regions.set(range, Some(region), reservation)?;
        }
        Ok(())
    }

    /// What may be done at an address, and what a page there holds if there is none yet.
    pub(super) fn find_in_host(&self, address: u64) -> Result<(Protection, Backing), Refusal> {
        if (FIXED.start..FIXED.end).contains(&address) {
            return self.windows.find(address).ok_or(Refusal::NotAllowed);
        }
        if (WINDOWS_START..STACK.start).contains(&address) {
            return Err(Refusal::StackOverflow);
        }
        let region = self.regions.find(address).ok_or(Refusal::NotAllowed)?;
        let protection = region.protection.ok_or(Refusal::NotAllowed)?;
        Ok((protection, self.backing(region, address)?))
    }

    /// What a page of a region holds that is not there.
    pub(super) fn backing(&self, region: Region, address: u64) -> Result<Backing, Refusal> {
        let page = address / PAGE * PAGE;
        Ok(match region.source {
            Source::ZERO => Backing::Zero,
            Source::IMAGE => self.template.find(address).ok_or(Refusal::NotAllowed)?.1,
            source => match source.behind(page - region.range.start).payload_page() {
                Some(page) => Backing::Payload(page),
                None => Backing::Zero,
            },
        })
    }

    /// The payload of a stage: what this instance prepares, or what was prepared before.
    pub(super) fn payload_at(&self, stage: u32) -> Option<&PageBuffer> {
        if stage == self.payload_stage {
            return self.payload.as_deref();
        }
        self.template.payload(stage)
    }

    /// Puts zeroed memory at an address, or memory that cannot be touched, in the place of whatever
    /// is there.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if the range is not the action's to shape; the others if its notes do
    /// not fit. Then nothing changed.
    pub fn map_at(
        &mut self,
        address: u64,
        len: u64,
        protection: Option<Protection>,
    ) -> Result<(), Refusal> {
        let range = own_range(address, len)?;
        self.put(Region { range, source: Source::ZERO, protection })
    }

    /// Puts pages of the payload at an address, in the place of whatever is there.
    ///
    /// # Errors
    /// As [`Self::map_at`]; also [`Refusal::BadRange`] for pages the payload does not have.
    pub fn map_payload(
        &mut self,
        address: u64,
        len: u64,
        protection: Option<Protection>,
        offset: u64,
    ) -> Result<(), Refusal> {
        let range = own_range(address, len)?;
        let payload_end = self.payload_len().next_multiple_of(PAGE);
        let end = offset.checked_add(range.end - range.start);
        if !offset.is_multiple_of(PAGE) || end.is_none_or(|end| end > payload_end) {
            return Err(Refusal::BadRange);
        }
        let page = PayloadPage { stage: self.payload_stage, page: (offset / PAGE) as u32 };
        let source = Source::payload(page);
        self.put(Region { range, source, protection })
    }

    fn put(&mut self, region: Region) -> Result<(), Refusal> {
        self.replace(region.range, Some(region))?;
        self.provide_lessons_in(region);
        Ok(())
    }

    /// Takes away whatever is in a range.
    ///
    /// # Errors
    /// As [`Self::map_at`].
    pub fn unmap_any(&mut self, address: u64, len: u64) -> Result<(), Refusal> {
        let range = own_range(address, len)?;
        self.take_away(range)
    }

    /// Changes the protection of a range without gaps.
    ///
    /// # Errors
    /// As [`Self::map_at`]; also [`Refusal::BadRange`] for a range with a gap. When memory runs
    /// out, a lower part of the range may have changed.
    pub fn protect_any(
        &mut self,
        address: u64,
        len: u64,
        to: Option<Protection>,
    ) -> Result<(), Refusal> {
        let range = own_range(address, len)?;
        if !self.regions.covers(range, |_| true) {
            return Err(Refusal::BadRange);
        }
        self.change_protection(range, to)
    }

    /// Makes pages what they were when they were mapped, and gives back their frames.
    ///
    /// # Errors
    /// As [`Self::map_at`]; also [`Refusal::BadRange`] for a range with a gap or with pages of the
    /// image.
    pub fn discard(&mut self, address: u64, len: u64) -> Result<(), Refusal> {
        let range = own_range(address, len)?;
        if !self.regions.covers(range, |region| region.source != Source::IMAGE) {
            return Err(Refusal::BadRange);
        }
        let Self { tables, reservation, template, .. } = self;
        let mapped = tables.mapped(range);
        if mapped == Mapped::Somewhere {
            tables.open_edges(range, reservation, template)?;
        }
        tables.clear_mapped(range, mapped, reservation);
        Ok(())
    }
}

/// Whole pages that a host image may shape.
fn own_range(address: u64, len: u64) -> Result<PageRange, Refusal> {
    let end = len.checked_next_multiple_of(PAGE).and_then(|len| address.checked_add(len));
    let range = PageRange { start: address, end: end.ok_or(Refusal::BadRange)? };
    let is_own = address.is_multiple_of(PAGE)
        && range.start < range.end
        && range.start >= action_abi::IMAGE_START
        && range.end <= USER_END
        && !Windows::touch(range);
    if is_own { Ok(range) } else { Err(Refusal::BadRange) }
}

const _: () = assert!(PAGE_LEN as u64 == PAGE);
