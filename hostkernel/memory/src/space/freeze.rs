//! From a running instance to a template that others start from.
//!
//! The instance's tables are not taken over but read once, so that the template's are as few as can
//! be and all its own. Pages change hands: nothing is copied. Context and input stay behind, and so
//! do pages that hold what instances would find there anyway: those that were given in advance and
//! never written, or that are what they were again.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::layout::{CONTEXT, PAGE, WINDOWS_START};
use super::{AddressSpace, Refusal};
use crate::buffer::PageBuffer;
use crate::frames::{Frame, OutOfFrames};
use crate::likely::Lessons;
use crate::regions::{Regions, Source};
use crate::table::{Entry, for_each_entry};
use crate::template::{Frozen, Memory, Processor, Template};
use crate::tree::{Tables, Tree};
use limits::{PAGE_LEN, REGIONS_MAX};

/// How often the payload's pages are entered in advance, however often they are mapped.
const PAYLOAD_ENTERED_MAX: usize = 2;

impl AddressSpace {
    /// Makes a template of the instance, whose memory is gone then.
    ///
    /// # Errors
    /// [`Refusal::OutOfMemory`] if there is none for the template's tables.
    pub fn freeze(&mut self, processor: Processor) -> Result<Template, Refusal> {
        // Nothing of this one instance goes on.
        self.tables.clear_range(CONTEXT, &mut self.reservation);
        let (mut tables, pages) = self.frozen_tables()?;
        let lessons = Lessons::new(pages)?;
        self.enter_payload(&mut tables)?;
        let shared = |table| self.template.slots(table);
        let windows = tables.way(WINDOWS_START, shared);
        tables.written = self.template.written().map(|address| tables.way(address, shared));

        let base = Arc::clone(&self.template);
        let payload = self.payload.take().unwrap_or_default();
        let prepares_itself = payload.is_empty() && base.frozen().is_none();
        let code = if prepares_itself { base.code() } else { &payload };
        let code: Arc<PageBuffer> = Arc::clone(code);
        let regions = core::mem::replace(&mut self.regions, Regions::new(REGIONS_MAX));
        let heap = self.windows.heap;
        let memory = Memory { base, payload, regions, heap, pages };
        let frozen = Box::new(Frozen::new(memory, lessons, processor));
        self.tables.give_pages_away();
        // SAFETY: the instance has just given up its pages, which are those that are marked.
        unsafe { tables.adopt_pages() };
        Ok(Template::from_frozen(code, Tree::Whole(tables, windows), frozen))
    }

    /// Tables with everything that is mapped, and how many pages are the instance's own. Tables
    /// that are still those of what it was made from are shared with that.
    fn frozen_tables(&mut self) -> Result<(Tables, usize), OutOfFrames> {
        let mut tables = Tables::build(4, core::iter::empty())?;
        let Self { tables: own, reservation, template, regions, windows, .. } = self;
        let root = own.root().number();
        let input = windows.input.start..windows.input.end;
        let mut pages = 0;
        let mut outcome = Ok(());
        let mut enter = |address: u64, level: u32, entry: Entry| {
            if outcome.is_err() || (level > 1 && !entry.is_borrowed()) {
                return outcome.is_ok();
            }
            if level > 1 {
                outcome = tables.share(address, level, entry);
            } else if !input.contains(&address) {
                let found = found_anyway(template, regions, address, entry);
                if found.is_some()
                    && let Some(page) = own.take_page(address)
                {
                    reservation.put(page);
                }
                let entry = found.unwrap_or(entry);
                if entry.is_present() {
                    pages += usize::from(entry.is_owned_page());
                    outcome = tables.map(address, entry.frozen());
                }
            }
            false
        };
        // SAFETY: the root and everything below it live as long as the address space; a page that
        // is taken out below leaves an empty entry, and no table goes.
        unsafe { for_each_entry(root, 4, 0, &mut enter) };
        outcome.map(|()| (tables, pages))
    }

    /// Enters pages of the payload that nobody has touched yet: instances need no page fault to
    /// read them.
    fn enter_payload(&self, tables: &mut Tables) -> Result<(), OutOfFrames> {
        let Some(payload) = &self.payload else { return Ok(()) };
        let mut left = payload.pages().len() * PAYLOAD_ENTERED_MAX;
        let mut next = 0;
        while let Some(region) = self.regions.next(next) {
            next = region.range.end;
            let (Some(first), Some(protection)) = (region.source.payload_page(), region.protection)
            else {
                continue;
            };
            if first.stage != self.payload_stage {
                continue;
            }
            let frames = payload.pages().iter().skip(first.page as usize);
            for (page, frame) in (region.range.start..next).step_by(PAGE_LEN).zip(frames) {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                if !tables.has(page) {
                    tables.map(page, Entry::borrowed_page(frame.number(), protection))?;
                }
            }
        }
        Ok(())
    }
}

/// What maps a page of an instance's own without it, if its bytes are those of the page that the
/// instance was made with, or the zeros of its region: the other page, or nothing.
fn found_anyway(
    template: &Template,
    regions: &Regions,
    address: u64,
    entry: Entry,
) -> Option<Entry> {
    let frame = entry.frame().filter(|_| entry.is_owned_page())?;
    // SAFETY: the page is the instance's, which does not run.
    let own = unsafe { Frame::borrow(frame) };
    let Some(original) = template.leaf(address).frame() else {
        let is_zero = || regions.find(address).is_some_and(|it| it.source == Source::ZERO);
        return (is_zero() && own.bytes() == &[0; PAGE_LEN]).then_some(Entry::EMPTY);
    };
    // SAFETY: the page is the template's, or of what that was made from, and nobody changes it.
    let is_same = own.bytes() == unsafe { Frame::borrow(original) }.bytes();
    is_same.then(|| entry.borrowing(original))
}

const _: () = assert!(PAGE_LEN as u64 == PAGE);
