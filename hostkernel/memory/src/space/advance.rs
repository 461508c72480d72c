//! Pages in advance: what earlier instances touched is there before an instance asks for it,
//! instead of by as many page faults.
//!
//! Instances of a file's template get a handful, each as if it was touched. Those of a frozen one
//! get hundreds, in order of addresses: a table is found once for all pages in it, and a region for
//! all pages of it. Whether a page may be touched is decided anew by the instance's own regions.

use alloc::sync::Arc;

use super::layout::PAGE;
use super::{AddressSpace, Refusal};
use crate::frames::{Frame, Reservation};
use crate::likely::{LikelyPage, Touched};
use crate::regions::{Region, Source};
use crate::table::{BLOCK_LEN, Entry, index};
use crate::{Access, Protection};

impl AddressSpace {
    /// Provides what earlier instances touched. What cannot be provided is no worse off than
    /// without.
    pub(super) fn provide_likely(&mut self) {
        if self.is_host {
            self.provide_lessons();
            return;
        }
        for page in self.template.likely().pages() {
            self.provide(page);
        }
    }

    #[inline(never)]
    fn provide_lessons(&mut self) {
        let template = Arc::clone(&self.template);
        let Some(frozen) = template.frozen() else { return };
        self.provide_many(frozen.lessons.pages());
        if frozen.lessons.are_wanted()
            && let Ok(room) = self.reservation.take()
        {
            self.touched.expect_many(room);
        }
    }

    fn provide(&mut self, page: LikelyPage) {
        let access = if page.is_written() { Access::Write } else { Access::Read };
        let _ = self.page_for(page.address(), access);
    }

    fn provide_many(&mut self, mut pages: &[LikelyPage]) {
        while let Some(first) = pages.first() {
            let block = first.address() / BLOCK_LEN;
            let is_here = |page: &LikelyPage| page.address() / BLOCK_LEN == block;
            let len = pages.partition_point(is_here).max(1);
            let here;
            (here, pages) = pages.split_at(len);
            // Pages that are only read are borrowed, which needs no table of one's own.
            let written = here.iter().any(|page| page.is_written());
            if !written || self.provide_block(here).is_err() {
                here.iter().for_each(|page| self.provide(*page));
            }
        }
    }

    /// Provides pages of one block, of which some are written.
    fn provide_block(&mut self, pages: &[LikelyPage]) -> Result<(), Refusal> {
        let Self { tables, reservation, template, regions, .. } = self;
        let position = tables.open_block(pages[0].address(), reservation, template)?;
        let mut region: Option<Region> = None;
        let mut rest = 0;
        for page in pages {
            let address = page.address();
            if region.is_none_or(|region| address >= region.range.end) {
                region = regions.next(address);
            }
            let found = region.filter(|region| region.range.start <= address);
            let is_plain = page.is_written()
                && found.is_some_and(|it| it.protection == Some(Protection::ReadWrite));
            let own = tables.own_mut(position);
            let slot = index(address, 1);
            let entry = own.table().get(slot);
            let is_zero = found.is_some_and(|it| it.source == Source::ZERO);
            if !is_plain || entry.is_owned_page() || (!entry.is_present() && !is_zero) {
                rest += 1;
                continue;
            }
            let frame = private(entry, reservation)?;
            let entry = Entry::owned_page(frame.number(), Protection::ReadWrite);
            own.set_owned(slot, entry);
            let _owned_by_the_entry = frame.into_raw();
            self.touched.count += 1;
        }
        if rest > 0 {
            // Windows, pages of the image and the payload that are not there yet.
            pages.iter().for_each(|page| self.provide(*page));
        }
        Ok(())
    }

    /// Tells the template what was touched.
    pub(super) fn learn(&mut self) {
        let Self { template, touched, reservation, .. } = self;
        match template.frozen() {
            None => template.likely().learn(touched.first()),
            Some(frozen) => {
                if let Some((mut frame, len)) = Touched::take_many(touched) {
                    frozen.lessons.learn(&mut frame, len);
                    reservation.put(frame);
                }
            }
        }
    }
}

/// A page of one's own in the place of what an entry maps, or of nothing.
fn private(
    entry: Entry,
    reservation: &mut Reservation,
) -> Result<Frame, crate::frames::OutOfFrames> {
    match entry.frame() {
        // SAFETY: the page is borrowed, so it is the template's or the payload's: nobody changes
        // it, and it outlives the address space.
        Some(source) => reservation.take_copy(&unsafe { Frame::borrow(source) }),
        None => reservation.take(),
    }
}

const _: () = assert!(PAGE < BLOCK_LEN);
