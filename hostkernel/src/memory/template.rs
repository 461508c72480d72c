//! What deploying makes of an image: its pages and finished page tables, shared by all instances.
//!
//! The file's own pages are mapped where they lie, since a segment's offset is congruent to its
//! address; only the page in which file bytes end and zeroed memory begins is a copy. All leaves
//! are read-only and marked borrowed: an instance that writes gets its own page then. The whole
//! tree hangs off one level-3 table, so an instance takes an image of any size into its address
//! space with one entry.

use alloc::vec::Vec;

use super::buffer::PageBuffer;
use super::frames::{Frame, FrameNumber, OutOfFrames};
use super::likely::{LikelyPage, LikelyPages};
use super::regions::{Backing, Region};
use super::table::{Entry, Slots, Table, index};
use crate::config::PAGE_LEN;
use crate::image::LoadPlan;

/// A range of whole pages of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// First address; a multiple of the page length.
    pub start: u64,
    /// Address after the last byte; a multiple of the page length.
    pub end: u64,
}

/// A deployed image, ready to be mapped. Immutable, but for what it learns from its instances.
#[derive(Debug)]
pub struct Template {
    code: PageBuffer,
    entry: u64,
    /// Its segments as instances see them, ascending.
    regions: Vec<Region>,
    // The level-3 table comes first; the rest are below it. Their entries refer to each other, to
    // `code` and to `copies`.
    tables: Vec<(Frame, Slots)>,
    /// Positions in `tables`, ordered by frame number.
    by_frame: Vec<u32>,
    copies: Vec<Frame>,
    likely: LikelyPages,
}

/// Up to so many tables are found faster by looking at each than by dividing.
const TABLES_FEW: usize = 8;

// Images live below IMAGE_END, which one level-3 table covers.
const _: () = assert!(action_abi::IMAGE_END <= 1 << 39);

impl Template {
    /// Builds the pages and tables for `plan`, which was made from the bytes of `code`.
    ///
    /// # Errors
    /// [`OutOfFrames`] if memory runs out; everything taken is given back.
    ///
    /// # Panics
    /// If `plan` does not lie within `code` and the image range; [`crate::image`] never makes such.
    pub fn build(plan: &LoadPlan, code: PageBuffer) -> Result<Self, OutOfFrames> {
        let mut template = Self {
            code,
            entry: plan.entry,
            regions: Vec::new(),
            tables: Vec::new(),
            by_frame: Vec::new(),
            copies: Vec::new(),
            likely: LikelyPages::default(),
        };
        template.tables.push((Frame::allocate()?, Slots::NONE));
        for segment in &plan.segments {
            let page = PAGE_LEN as u64;
            let start = segment.address / page * page;
            let end = (segment.address + segment.memory_len).next_multiple_of(page);
            assert!(
                start >= action_abi::IMAGE_START && end <= action_abi::IMAGE_END,
                "the load plan is inside the image range"
            );
            let range = PageRange { start, end };
            let protection = segment.protection;
            template.regions.push(Region { range, protection, backing: Backing::Image });
            let file_end = segment.address + segment.file_len;
            let mut file_page = (segment.file_offset / page) as usize;
            let mut address = start;
            while address < file_end && segment.file_len > 0 {
                let partial = file_end - address < page && segment.memory_len > segment.file_len;
                let frame = if partial {
                    template.copy_page(file_page, (file_end - address) as usize)?
                } else {
                    template.code.pages()[file_page].number()
                };
                template.map(address, Entry::borrowed_page(frame, segment.protection))?;
                file_page += 1;
                address += page;
            }
        }
        template.regions.sort_unstable_by_key(|region| region.range.start);
        let disjoint = |pair: &[Region]| pair[0].range.end <= pair[1].range.start;
        assert!(template.regions.windows(2).all(disjoint), "segments share no page");
        let tables = &template.tables;
        template.by_frame = (0..tables.len() as u32).collect();
        template.by_frame.sort_unstable_by_key(|position| tables[*position as usize].0.number());
        Ok(template)
    }

    /// A copy of the first `len` bytes of a page of the file, zero behind them.
    fn copy_page(&mut self, file_page: usize, len: usize) -> Result<FrameNumber, OutOfFrames> {
        let mut copy = Frame::allocate()?;
        copy.bytes_mut()[..len].copy_from_slice(&self.code.pages()[file_page].bytes()[..len]);
        let number = copy.number();
        self.copies.push(copy);
        Ok(number)
    }

    fn map(&mut self, address: u64, entry: Entry) -> Result<(), OutOfFrames> {
        let mut position = 0;
        for level in (2..=3).rev() {
            let slot = index(address, level);
            position = match self.table_at(position).get(slot).frame() {
                // Pages come in ascending order, so the table was made last or nearly so.
                Some(next) => self.tables.iter().rposition(|(table, _)| table.number() == next),
                None => {
                    let next = Frame::allocate()?;
                    self.set(position, slot, Entry::borrowed_table(next.number()));
                    self.tables.push((next, Slots::NONE));
                    Some(self.tables.len() - 1)
                }
            }
            .expect("a template's tables refer to its own");
        }
        self.set(position, index(address, 1), entry);
        Ok(())
    }

    fn table_at(&self, position: usize) -> &Table {
        // SAFETY: the frames of `tables` hold tables and live as long as the template.
        unsafe { Table::at(self.tables[position].0.number()) }
    }

    fn set(&mut self, position: usize, slot: usize, entry: Entry) {
        self.table_at(position).set(slot, entry);
        self.tables[position].1.include(slot);
    }

    /// Which slots of one of the template's tables are in use.
    pub(super) fn slots(&self, table: FrameNumber) -> Slots {
        // Most images have a handful of tables.
        if self.tables.len() <= TABLES_FEW {
            let own = self.tables.iter().find(|(frame, _)| frame.number() == table);
            return own.expect("a borrowed table is the template's").1;
        }
        let number = |position: &u32| self.tables[*position as usize].0.number();
        let found = self.by_frame.binary_search_by_key(&table, number);
        let at = found.expect("a borrowed table is the template's");
        self.tables[self.by_frame[at] as usize].1
    }

    /// The image file.
    #[must_use]
    pub fn code(&self) -> &PageBuffer {
        &self.code
    }

    /// Address of the first instruction.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Frames the template holds: the file, copies and tables.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.code.pages().len() + self.copies.len() + self.tables.len()
    }

    /// What it takes of the kernel heap: lists of frames.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.code.pages())
            + size_of_val(&*self.regions)
            + size_of_val(&*self.tables)
            + size_of_val(&*self.by_frame)
            + size_of_val(&*self.copies)
    }

    pub(super) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Calls `provide` for pages that instances touch early.
    pub(super) fn likely_pages(&self, provide: impl FnMut(LikelyPage)) {
        self.likely.for_each(provide);
    }

    /// Learns from an instance which pages it had to ask for.
    pub(super) fn learn(&self, touched: &[LikelyPage]) {
        self.likely.learn(touched);
    }

    /// The level-3 table that covers the whole image range.
    pub(super) fn table(&self) -> FrameNumber {
        self.tables[0].0.number()
    }
}
