//! How instances get the pages of an image's file: a few leaves, or finished page tables.
//!
//! An image within one table's reach has its leaves on the heap, and an instance copies them into a
//! table of its own: for a small image this costs less than tables, in memory and in time. A large
//! one has a tree of tables that hangs off one level-3 table, so that an instance takes it, of any
//! size, with one entry; of the tables on the way to where it is written, an instance starts with
//! copies.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::frames::{Frame, FrameNumber, OutOfFrames};
use super::table::{BLOCK_LEN, Entry, Slots, Table, index};
use limits::PAGE_LEN;

/// The pages of an image's file, as instances see them.
#[derive(Debug)]
pub(super) enum Tree {
    Leaves(Leaves),
    Tables(Tables),
}

/// All leaves, in order of their slots: they are entries of one level-1 table.
#[derive(Debug)]
pub(super) struct Leaves {
    /// Address where that table's reach begins.
    pub block: u64,
    /// Slot of the first.
    pub first: usize,
    pub entries: Box<[Entry]>,
}

/// Tables of an image.
#[derive(Debug)]
pub(super) struct Tables {
    // The level-3 table comes first; the rest are below it, and refer to each other and to pages.
    list: Vec<(Frame, Slots)>,
    /// Positions in `list`, ordered by frame number.
    by_frame: Vec<u32>,
    /// Where instances will write, and how that is reached.
    pub written: Option<Way>,
}

/// From the level-3 table to the block in which an image is first written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Where the block begins.
    pub block: u64,
    /// The tables of levels 3, 2 and 1, as far as there are any.
    pub tables: [Option<(FrameNumber, Slots)>; 3],
}

const PAGE: u64 = PAGE_LEN as u64;
/// Slots that [`Leaves`] may span: a kilobyte of heap in the place of three tables.
const LEAVES_MAX: u64 = 128;
/// Up to so many tables are found faster by looking at each than by dividing.
const TABLES_FEW: usize = 8;

impl Tree {
    /// Takes leaves with the addresses of their pages, and the first address of the image that can
    /// be written.
    pub fn build(
        leaves: impl Iterator<Item = (u64, Entry)> + Clone,
        written: Option<u64>,
    ) -> Result<Self, OutOfFrames> {
        let pages = || leaves.clone().map(|(page, _)| page);
        let first = pages().min().or(written).unwrap_or(action_abi::IMAGE_START);
        let end = pages().max().map_or(first, |last| last + PAGE);
        let block = first / BLOCK_LEN * BLOCK_LEN;
        let is_near = |address: u64| (block..=block + BLOCK_LEN).contains(&address);
        let is_small = is_near(end) && (end - first) / PAGE <= LEAVES_MAX;
        if !is_small || !written.is_none_or(|address| is_near(address + PAGE)) {
            return Tables::build(leaves, written).map(Self::Tables);
        }
        let len = ((end - first) / PAGE) as usize;
        let mut entries = Vec::new();
        entries.try_reserve_exact(len).map_err(|_| OutOfFrames)?;
        entries.resize(len, Entry::EMPTY);
        for (page, entry) in leaves {
            entries[((page - first) / PAGE) as usize] = entry;
        }
        let entries = entries.into_boxed_slice();
        Ok(Self::Leaves(Leaves { block, first: index(first, 1), entries }))
    }

    /// Frames it takes.
    pub fn frames(&self) -> usize {
        match self {
            Self::Leaves(_) => 0,
            Self::Tables(tables) => tables.list.len(),
        }
    }

    /// What it takes of the kernel heap.
    pub fn heap_len(&self) -> usize {
        match self {
            Self::Leaves(leaves) => size_of_val(&*leaves.entries),
            Self::Tables(tables) => size_of_val(&*tables.list) + size_of_val(&*tables.by_frame),
        }
    }

    /// Which slots of one of its tables are in use.
    pub fn slots(&self, table: FrameNumber) -> Slots {
        let Self::Tables(tables) = self else { unreachable!("no table is borrowed from leaves") };
        tables.slots(table)
    }
}

impl Tables {
    fn build(
        mut leaves: impl Iterator<Item = (u64, Entry)>,
        written: Option<u64>,
    ) -> Result<Self, OutOfFrames> {
        let list = Vec::from([(Frame::allocate()?, Slots::NONE)]);
        let mut tables = Self { list, by_frame: Vec::new(), written: None };
        leaves.try_for_each(|(page, entry)| tables.map(page, entry))?;
        tables.by_frame = (0..tables.list.len() as u32).collect();
        let Self { list, by_frame, .. } = &mut tables;
        by_frame.sort_unstable_by_key(|position| list[*position as usize].0.number());
        tables.written = written.map(|address| tables.way(address));
        Ok(tables)
    }

    fn map(&mut self, address: u64, entry: Entry) -> Result<(), OutOfFrames> {
        let mut position = 0;
        for level in (2..=3).rev() {
            let slot = index(address, level);
            position = match self.table_at(position).get(slot).frame() {
                // Pages come in ascending order, so the table was made last or nearly so.
                Some(next) => self.list.iter().rposition(|(table, _)| table.number() == next),
                None => {
                    let next = Frame::allocate()?;
                    self.set(position, slot, Entry::borrowed_table(next.number()));
                    self.list.push((next, Slots::NONE));
                    Some(self.list.len() - 1)
                }
            }
            .expect("a template's tables refer to its own");
        }
        self.set(position, index(address, 1), entry);
        Ok(())
    }

    fn way(&self, address: u64) -> Way {
        let mut tables = [None; 3];
        let mut next = Some(self.root());
        for (place, level) in tables.iter_mut().zip((1..=3).rev()) {
            let Some(table) = next else { break };
            *place = Some((table, self.slots(table)));
            // SAFETY: entries above level 1 refer to tables on the list.
            let entry = unsafe { Table::at(table) }.get(index(address, level));
            next = if level > 1 { entry.frame() } else { None };
        }
        Way { block: address / BLOCK_LEN * BLOCK_LEN, tables }
    }

    fn table_at(&self, position: usize) -> &Table {
        // SAFETY: the frames of the list hold tables and live as long as the template.
        unsafe { Table::at(self.list[position].0.number()) }
    }

    fn set(&mut self, position: usize, slot: usize, entry: Entry) {
        self.table_at(position).set(slot, entry);
        self.list[position].1.include(slot);
    }

    fn slots(&self, table: FrameNumber) -> Slots {
        // Most images have a handful of tables.
        let found = if self.by_frame.len() <= TABLES_FEW {
            self.list.iter().find(|(frame, _)| frame.number() == table)
        } else {
            let number = |position: &u32| self.list[*position as usize].0.number();
            let at = self.by_frame.binary_search_by_key(&table, number);
            at.ok().map(|at| &self.list[self.by_frame[at] as usize])
        };
        found.expect("a borrowed table is the template's").1
    }

    /// The level-3 table, which covers the whole image range.
    pub fn root(&self) -> FrameNumber {
        self.list[0].0.number()
    }
}
