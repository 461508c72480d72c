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
use super::table::{BLOCK_LEN, Entry, Slots, Table, index, leaf_below};
use limits::PAGE_LEN;

/// The pages of an image's file, or of a frozen instance, as instances see them.
#[derive(Debug)]
pub(super) enum Tree {
    Leaves(Leaves),
    Tables(Tables),
    /// Tables of all levels: those of a frozen instance, and the way to its windows.
    Whole(Tables, Way),
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

/// Tables of an image or of a frozen instance.
#[derive(Debug)]
pub(super) struct Tables {
    // The one of the highest level comes first; the rest are below it, and refer to each other and
    // to pages.
    list: Vec<Note>,
    /// Positions in `list`, ordered by frame number.
    by_frame: Vec<u32>,
    /// The level of the first.
    level: u32,
    /// The block that a page was entered in last, and the position of its table.
    last: Option<(u64, usize)>,
    /// Whether the pages that are marked so belong to these tables.
    owns_pages: bool,
    /// Where instances will write, and how that is reached.
    pub written: Option<Way>,
}

/// One table, and which of its slots are in use.
#[derive(Debug)]
struct Note {
    frame: Frame,
    slots: Slots,
    is_leaf: bool,
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
            let mut tables = Tables::build(3, leaves)?;
            tables.written = written.map(|address| tables.way(address, |_| Slots::NONE));
            return Ok(Self::Tables(tables));
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
            Self::Tables(tables) | Self::Whole(tables, _) => tables.list.len(),
        }
    }

    /// What it takes of the kernel heap.
    pub fn heap_len(&self) -> usize {
        match self {
            Self::Leaves(leaves) => size_of_val(&*leaves.entries),
            Self::Tables(tables) | Self::Whole(tables, _) => {
                size_of_val(&*tables.list) + size_of_val(&*tables.by_frame)
            }
        }
    }

    /// Which slots of one of its tables are in use; nothing for a table that is not its own.
    pub fn slots(&self, table: FrameNumber) -> Option<Slots> {
        match self {
            Self::Tables(tables) | Self::Whole(tables, _) => tables.slots(table),
            Self::Leaves(_) => None,
        }
    }
}

impl Tables {
    /// Makes the tables, the first of which is of this level, for leaves with the addresses of
    /// their pages.
    pub fn build(
        level: u32,
        mut leaves: impl Iterator<Item = (u64, Entry)>,
    ) -> Result<Self, OutOfFrames> {
        let (list, by_frame) = (Vec::new(), Vec::new());
        let mut tables =
            Self { list, by_frame, level, last: None, owns_pages: false, written: None };
        tables.add(false)?;
        leaves.try_for_each(|(page, entry)| tables.map(page, entry))?;
        Ok(tables)
    }

    /// Adds an empty table; returns its position.
    fn add(&mut self, is_leaf: bool) -> Result<usize, OutOfFrames> {
        let position = self.list.len();
        let Self { list, by_frame, .. } = self;
        list.try_reserve(1).map_err(|_| OutOfFrames)?;
        by_frame.try_reserve(1).map_err(|_| OutOfFrames)?;
        let frame = Frame::allocate()?;
        let number = frame.number();
        list.push(Note { frame, slots: Slots::NONE, is_leaf });
        let found = |at: &u32| list[*at as usize].frame.number() < number;
        by_frame.insert(by_frame.partition_point(found), position as u32);
        Ok(position)
    }

    /// Enters a page.
    pub fn map(&mut self, address: u64, entry: Entry) -> Result<(), OutOfFrames> {
        let block = address / BLOCK_LEN * BLOCK_LEN;
        let position = match self.last {
            Some((last, position)) if last == block => position,
            _ => self.way_to(address, 1)?,
        };
        self.last = Some((block, position));
        self.set(position, index(address, 1), entry);
        Ok(())
    }

    /// Whether a page is entered.
    pub fn has(&self, address: u64) -> bool {
        self.leaf(address).is_present()
    }

    /// Refers to a table of another template, which outlives this one, where `entry` of a table of
    /// `level` does.
    pub fn share(&mut self, address: u64, level: u32, entry: Entry) -> Result<(), OutOfFrames> {
        let position = self.way_to(address, level)?;
        self.set(position, index(address, level), entry);
        Ok(())
    }

    /// The position of the own table of a level on the way to an address.
    fn way_to(&mut self, address: u64, down_to: u32) -> Result<usize, OutOfFrames> {
        let mut position = 0;
        for level in (down_to + 1..=self.level).rev() {
            let slot = index(address, level);
            let shared = self.table_at(position).get(slot).frame();
            if let Some(own) = shared.and_then(|table| self.position(table)) {
                position = own;
                continue;
            }
            let next = self.add(level == 2)?;
            if let Some(shared) = shared {
                self.copy(next, shared);
            }
            let entry = Entry::borrowed_table(self.list[next].frame.number());
            self.set(position, slot, entry);
            position = next;
        }
        Ok(position)
    }

    /// Fills an own table with what a shared one has.
    fn copy(&mut self, position: usize, shared: FrameNumber) {
        let is_leaf = self.list[position].is_leaf;
        // SAFETY: a shared table is another template's, which outlives this one.
        for (slot, entry) in unsafe { Table::at(shared) }.entries() {
            self.set(position, slot, if is_leaf { entry.frozen() } else { entry });
        }
    }

    /// Makes the pages that are marked so theirs.
    ///
    /// # Safety
    /// Nobody else owns these pages, or will.
    pub unsafe fn adopt_pages(&mut self) {
        self.owns_pages = true;
    }

    /// The way to the block of an address. `others` says which slots are in use of tables that are
    /// shared.
    pub fn way(&self, address: u64, others: impl Fn(FrameNumber) -> Slots) -> Way {
        let mut tables = [None; 3];
        let mut next = Some(self.root().0);
        if self.level == 4 {
            next = self.table_at(0).get(index(address, 4)).frame();
        }
        for (place, level) in tables.iter_mut().zip((1..=3).rev()) {
            let Some(table) = next else { break };
            *place = Some((table, self.slots(table).unwrap_or_else(|| others(table))));
            // SAFETY: entries above level 1 refer to tables on the list.
            let entry = unsafe { Table::at(table) }.get(index(address, level));
            next = if level > 1 { entry.frame() } else { None };
        }
        Way { block: address / BLOCK_LEN * BLOCK_LEN, tables }
    }

    fn table_at(&self, position: usize) -> &Table {
        // SAFETY: the frames of the list hold tables and live as long as the template.
        unsafe { Table::at(self.list[position].frame.number()) }
    }

    fn set(&mut self, position: usize, slot: usize, entry: Entry) {
        self.table_at(position).set(slot, entry);
        self.list[position].slots.include(slot);
    }

    /// Which slots of one of its tables are in use.
    pub fn slots(&self, table: FrameNumber) -> Option<Slots> {
        self.position(table).map(|position| self.list[position].slots)
    }

    fn position(&self, table: FrameNumber) -> Option<usize> {
        let number = |position: usize| self.list[position].frame.number();
        // Most images have a handful of tables.
        if self.by_frame.len() <= TABLES_FEW {
            return (0..self.list.len()).find(|position| number(*position) == table);
        }
        let at = self.by_frame.binary_search_by_key(&table, |at| number(*at as usize));
        at.ok().map(|at| self.by_frame[at] as usize)
    }

    /// The leaf entry of a page, in tables of all levels.
    pub fn leaf(&self, address: u64) -> Entry {
        // SAFETY: as in `table_at`, and the tables refer to tables that live as long.
        unsafe { leaf_below(self.root().0, self.level, address) }
    }

    /// The first table, and which of its slots are in use.
    pub fn root(&self) -> (FrameNumber, Slots) {
        let root = &self.list[0];
        (root.frame.number(), root.slots)
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        if !self.owns_pages {
            return;
        }
        for Note { frame, slots, .. } in self.list.iter().filter(|note| note.is_leaf) {
            // SAFETY: as in `table_at`.
            let table = unsafe { Table::at(frame.number()) };
            for entry in slots.range().map(|slot| table.get(slot)) {
                if entry.is_templates()
                    && let Some(page) = entry.frame()
                {
                    // SAFETY: the page is this template's, as `adopt_pages` was promised, and no
                    // instance refers to it any more, since they keep their template.
                    drop(unsafe { Frame::from_raw(page) });
                }
            }
        }
    }
}
