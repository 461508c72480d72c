//! Pages in advance: what earlier instances touched is there before an instance asks for it,
//! instead of by as many page faults.
//!
//! Instances of a file's template get a handful, each as if it was touched. Those of a frozen one
//! get hundreds, in order of addresses: a table is found once for all pages in it, and a region for
//! all pages of it. Whether a page may be touched is decided anew by the instance's own regions; of
//! a region that the instance maps later, it gets the pages then.

use alloc::sync::Arc;

use super::AddressSpace;
use super::layout::{FIXED, PAGE};
use crate::frames::{Frame, OutOfFrames};
use crate::likely::{LikelyPage, Touched};
use crate::regions::{Region, Source};
use crate::table::{BLOCK_LEN, Entry, index};
use crate::template::Frozen;
use crate::{Access, Protection};

impl Frozen {
    /// Says of a page whether instances can be given it without a look at their regions, which are
    /// these at their start.
    fn describe(&self, page: LikelyPage) -> LikelyPage {
        let address = page.address();
        let is_window = (FIXED.start..FIXED.end).contains(&address);
        match self.regions.find(address).filter(|_| page.is_written() && !is_window) {
            Some(region) if region.protection == Some(Protection::ReadWrite) => {
                page.with_plain(region.source == Source::ZERO)
            }
            _ => page,
        }
    }
}

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
        for pages in frozen.lessons.pages() {
            self.provide_many(pages, None);
        }
        if let Some(room) = frozen.lessons.room(|| self.reservation.take()) {
            self.touched.expect_many(room);
        }
    }

    fn provide(&mut self, page: LikelyPage) {
        let access = if page.is_written() { Access::Write } else { Access::Read };
        let _ = self.page_for(page.address(), access);
    }

    /// Provides what earlier instances touched of a region that is new, and that only now can be
    /// touched: a heap that grows, memory that is mapped.
    pub(super) fn provide_lessons_in(&mut self, region: Region) {
        if region.source != Source::ZERO || region.protection != Some(Protection::ReadWrite) {
            return;
        }
        let template = Arc::clone(&self.template);
        let Some(frozen) = template.frozen() else { return };
        for pages in frozen.lessons.pages() {
            let first = pages.partition_point(|page| page.address() < region.range.start);
            let is_inside = |page: &&LikelyPage| page.address() < region.range.end;
            let len = pages[first..].iter().take_while(is_inside).count();
            if len > 0 {
                self.provide_many(&pages[first..first + len], Some(region));
            }
        }
    }

    /// Provides pages, in order of addresses, as far as there are regions with them already.
    /// `region` is that of the first; without it this is an instance's start, when its regions are
    /// those of the template.
    fn provide_many(&mut self, pages: &[LikelyPage], region: Option<Region>) {
        let is_start = region.is_none();
        let mut region = region;
        // The last block, and the position of its table.
        let mut block = (u64::MAX, 0);
        for page in pages {
            let address = page.address();
            if let Some(is_zero) = page.plain()
                && is_start
            {
                match self.provide_plain(address, is_zero, &mut block) {
                    Ok(true) => {}
                    Ok(false) => self.provide(*page),
                    Err(_) => return,
                }
                continue;
            }
            if !page.is_written() || (FIXED.start..FIXED.end).contains(&address) {
                // Pages that are only read are borrowed, which needs no table of one's own.
                self.provide(*page);
                continue;
            }
            if region.is_none_or(|region| address >= region.range.end) {
                region = self.regions.next(address);
            }
            let Some(found) = region.filter(|region| region.range.start <= address) else {
                continue;
            };
            let provided = match found.protection == Some(Protection::ReadWrite) {
                true => self.provide_plain(address, found.source == Source::ZERO, &mut block),
                false => Ok(false),
            };
            match provided {
                Ok(true) => {}
                // Pages of the image and the payload that are not there yet.
                Ok(false) => self.provide(*page),
                Err(_) => return,
            }
        }
    }

    /// Provides a page that can be written: zeros, or a copy of what an entry maps. Returns false
    /// if it is neither.
    fn provide_plain(
        &mut self,
        address: u64,
        is_zero: bool,
        block: &mut (u64, usize),
    ) -> Result<bool, OutOfFrames> {
        let Self { tables, reservation, template, .. } = self;
        if address / BLOCK_LEN != block.0 {
            let position = tables.open_block(address, reservation, template)?;
            *block = (address / BLOCK_LEN, position);
        }
        let (own, slot) = (tables.own_mut(block.1), index(address, 1));
        let entry = own.table().get(slot);
        let frame = match entry.frame() {
            _ if entry.is_owned_page() => return Ok(true),
            // SAFETY: the page is borrowed, so it is the template's or the payload's: nobody
            // changes it, and it outlives the address space.
            Some(original) => reservation.take_copy(&unsafe { Frame::borrow(original) })?,
            None if is_zero => reservation.take()?,
            None => return Ok(false),
        };
        own.set_owned(slot, Entry::owned_page(frame.number(), Protection::ReadWrite));
        let _owned_by_the_entry = frame.into_raw();
        if entry.is_present() {
            tables.set_stale();
        }
        self.likely += 1;
        Ok(true)
    }

    /// Tells the template what was touched.
    pub(super) fn learn(&mut self) {
        let Self { template, touched, reservation, .. } = self;
        match template.frozen() {
            None => template.likely().learn(touched.first()),
            Some(frozen) => {
                if let Some((mut room, len)) = Touched::take_many(touched) {
                    frozen.lessons.learn(&mut room, len, |page| frozen.describe(page));
                    room.into_frames().for_each(|frame| reservation.put(frame));
                }
            }
        }
    }
}

const _: () = assert!(PAGE < BLOCK_LEN);
