//! The page tables an address space owns: made private when something below them changes, emptied
//! and given back at the end.
//!
//! The tables that nearly every instance has stay with the core from one instance to the next, as a
//! *skeleton*: linked to each other, and without a page.
//!
//! ```text
//! root ─ slot 0 ─▶ level 3 ─▶ level 2 ─▶ IMAGE     the block in which an image is written
//!      ─ slot 1 ─▶ level 3 ─▶ level 2 ─▶ WINDOWS   the block of stack, context, input, output
//! ```
//!
//! Of other tables an instance makes those it needs. Which slots of a table were used is
//! remembered, so that the end of an instance costs what its life did. An owned leaf is the only
//! reference to its frame.

use alloc::vec::Vec;

use super::layout::WINDOWS_START;
use crate::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use crate::table::{BLOCK_LEN, Entry, Marks, Slots, Table, index, leaf};
use crate::template::Template;
use crate::tree::Tree;

/// Positions of the skeleton's tables.
const ROOT: usize = 0;
const WINDOWS_3: usize = 1;
const WINDOWS_2: usize = 2;
const IMAGE_3: usize = 3;
const IMAGE_2: usize = 4;
const WINDOWS: usize = 5;
const IMAGE: usize = 6;
const SKELETON_LEN: usize = 7;
/// The level-4 slot that holds the kernel's entry code and the core's entry area.
const KERNEL_SLOT: usize = 511;
/// Tables a core keeps room for from one instance to the next.
const TABLES_KEPT: usize = 64;

const _: () = assert!(WINDOWS_START.is_multiple_of(BLOCK_LEN));
const _: () = assert!(action_abi::IMAGE_END <= WINDOWS_START, "images have level-4 slot 0");

/// A table, and what has to be cleared at its end.
#[derive(Debug)]
struct OwnTable {
    frame: Frame,
    /// Holds every slot that refers to something that is not owned, or to an own table.
    filled: Slots,
    /// Slots with owned pages, or that had one; none but in a level-1 table.
    owned: Marks,
}

impl OwnTable {
    fn new(frame: Frame) -> Self {
        Self { frame, filled: Slots::NONE, owned: Marks::default() }
    }

    fn table(&self) -> &Table {
        // SAFETY: the frame holds a table, and lives as long as `self`.
        unsafe { Table::at(self.frame.number()) }
    }

    fn set(&mut self, slot: usize, entry: Entry) {
        self.filled.include(slot);
        self.table().set(slot, entry);
    }

    fn fill(&mut self, first: usize, entries: &[Entry]) {
        let Some(last) = entries.len().checked_sub(1) else { return };
        self.filled.include(first);
        self.filled.include(first + last);
        // SAFETY: no processor runs on the tables of a space that is being laid out.
        unsafe { self.table().fill(first, entries) };
    }

    /// Takes over the entries of a table of the template.
    fn copy(&mut self, original: FrameNumber, slots: Slots) {
        self.filled.include_all(slots);
        // SAFETY: the original is the template's: alive, and never changed. Nothing refers to this
        // table yet, or no processor runs on it.
        unsafe { self.table().copy_from(Table::at(original), slots) };
    }

    /// Gives back the pages that the table owns, and empties it. No processor runs on it any more.
    fn clear(&mut self, reservation: &mut Reservation) {
        let Self { frame, filled, owned } = self;
        // SAFETY: as in `table`.
        let table = unsafe { Table::at(frame.number()) };
        owned.drain(|slot| {
            let entry = table.get(slot);
            table.set(slot, Entry::EMPTY);
            if entry.is_owned_page()
                && let Some(page) = entry.frame()
            {
                // SAFETY: the entry was the only reference to its frame, and it is gone.
                reservation.put(unsafe { Frame::from_raw(page) });
            }
        });
        // SAFETY: the caller's promise.
        unsafe { table.clear(core::mem::replace(filled, Slots::NONE)) };
    }
}

/// What a core keeps from one instance to the next: the tables that nearly all have, without
/// anything in them.
#[derive(Debug, Default)]
pub struct Skeleton {
    list: Vec<OwnTable>,
    image_block: Option<u64>,
}

impl Skeleton {
    /// A whole one, so that a core's first instance leaves no less memory behind than it found.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there are none for its tables.
    pub fn new() -> Result<Self, OutOfFrames> {
        let mut reservation = Reservation::new(SKELETON_LEN)?;
        let mut tables = OwnTables::new(Self::default());
        tables.make_skeleton(&mut reservation)?;
        Ok(tables.keep(&mut reservation))
    }

    /// Frames that the next instance need not take from its reservation.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.list.len()
    }
}

/// A page, and the position of the level-1 table for it if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub page: u64,
    table: Option<usize>,
}

/// All tables of one address space that are its own, the skeleton first.
#[derive(Debug)]
pub(super) struct OwnTables {
    list: Vec<OwnTable>,
    /// Where the block begins that `IMAGE` maps, if it is linked.
    image_block: Option<u64>,
    /// The block for which a way was made last, and the position of its table: who writes to much
    /// memory mostly goes on where it is.
    last_block: Option<(u64, usize)>,
    /// Below slot 0 of the root are entries of the template's tables.
    has_copies: bool,
    /// A processor that remembers translations may remember one that has changed since.
    stale: bool,
}

impl OwnTables {
    /// No tables yet, or those that [`Self::keep`] left.
    pub fn new(Skeleton { mut list, image_block }: Skeleton) -> Self {
        assert!([0, SKELETON_LEN].contains(&list.len()), "tables of one instance are no other's");
        list.reserve_exact(TABLES_KEPT - list.len());
        // What the root's frame was before, no processor may remember either.
        Self { list, image_block, last_block: None, has_copies: false, stale: true }
    }

    /// Makes the skeleton, if it is not there.
    pub fn make_skeleton(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        if self.list.len() < SKELETON_LEN {
            while self.list.len() < SKELETON_LEN {
                self.list.push(OwnTable::new(reservation.take()?));
            }
            self.link_skeleton();
        }
        Ok(())
    }

    /// Enters the tables of the skeleton in the ones above them, but for those above `IMAGE`.
    fn link_skeleton(&mut self) {
        self.link(ROOT, 0, IMAGE_3);
        self.link(ROOT, index(WINDOWS_START, 4), WINDOWS_3);
        self.link(WINDOWS_3, index(WINDOWS_START, 3), WINDOWS_2);
        self.link(WINDOWS_2, index(WINDOWS_START, 2), WINDOWS);
        self.image_block = None;
    }

    fn link(&mut self, above: usize, slot: usize, below: usize) {
        let number = self.list[below].frame.number();
        self.list[above].set(slot, Entry::owned_table(number));
    }

    /// Maps the pages of the template's file. To be called once, before any other page is entered.
    pub fn borrow_image(&mut self, template: &Template, reservation: &mut Reservation) {
        match template.tree() {
            Tree::Leaves(leaves) => {
                if self.image_block != Some(leaves.block) {
                    self.list[IMAGE_3].clear(reservation);
                    self.list[IMAGE_2].clear(reservation);
                    self.link_image(leaves.block);
                }
                self.list[IMAGE].fill(leaves.first, &leaves.entries);
            }
            Tree::Tables(tables) => {
                self.has_copies = true;
                self.image_block = None;
                self.list[IMAGE_3].clear(reservation);
                self.list[IMAGE_2].clear(reservation);
                let Some(way) = &tables.written else {
                    self.list[ROOT].set(0, Entry::borrowed_table(tables.root()));
                    return;
                };
                for (own, original) in [IMAGE_3, IMAGE_2, IMAGE].into_iter().zip(way.tables) {
                    let Some((original, slots)) = original else { break };
                    self.list[own].copy(original, slots);
                }
                self.link_image(way.block);
            }
        }
    }

    fn link_image(&mut self, block: u64) {
        self.link(IMAGE_3, index(block, 3), IMAGE_2);
        self.link(IMAGE_2, index(block, 2), IMAGE);
        self.image_block = Some(block);
    }

    pub fn root(&self) -> &Frame {
        &self.list[ROOT].frame
    }

    pub fn take_stale(&mut self) -> bool {
        core::mem::take(&mut self.stale)
    }

    fn table(&self, position: usize) -> &Table {
        self.list[position].table()
    }

    /// Where the level-1 table for `page` is, as far as that is known without a walk.
    pub fn place(&self, page: u64) -> Place {
        let block = page / BLOCK_LEN * BLOCK_LEN;
        let table = match block {
            WINDOWS_START => Some(WINDOWS),
            _ if self.image_block == Some(block) => Some(IMAGE),
            _ => self.last_block.filter(|last| last.0 == block).map(|last| last.1),
        };
        Place { page, table }
    }

    fn set_page(&mut self, position: usize, slot: usize, entry: Entry) {
        let own = &mut self.list[position];
        // Entries that are not present are never remembered (Intel SDM vol. 3A, 4.10.2.3).
        self.stale |= own.table().get(slot).is_present();
        if entry.is_owned_page() {
            own.owned.insert(slot);
            own.table().set(slot, entry);
        } else {
            own.set(slot, entry);
        }
    }

    /// Makes the kernel's level-4 slot refer to a core's entry tables. Not counted among the root's
    /// slots: it is far from the others, and cleared by itself.
    pub fn set_kernel_slot(&mut self, entry: Entry) {
        self.table(ROOT).set(KERNEL_SLOT, entry);
    }

    /// The leaf entry that maps a page, whoever owns the tables above it.
    pub fn leaf(&self, Place { page, table }: Place) -> Entry {
        match table {
            Some(position) => self.table(position).get(index(page, 1)),
            // SAFETY: the root and everything below it live as long as the address space.
            None => unsafe { leaf(self.root().number(), page) },
        }
    }

    /// Writes the leaf entry of a page, making private every table on the way.
    pub fn set_leaf(
        &mut self,
        Place { page, table }: Place,
        entry: Entry,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        let position = match table {
            Some(position) => position,
            None => self.make_way(page, reservation, template)?,
        };
        self.set_page(position, index(page, 1), entry);
        Ok(())
    }

    /// Makes private every table on the way to `page`; returns the position of the last.
    #[inline(never)]
    fn make_way(
        &mut self,
        page: u64,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<usize, OutOfFrames> {
        let mut position = ROOT;
        for level in (2..=4).rev() {
            let slot = index(page, level);
            let below = self.table(position).get(slot);
            position = match below.frame() {
                Some(own) if !below.is_borrowed() => self.position(own),
                borrowed => {
                    let mut own = OwnTable::new(reservation.take()?);
                    if let Some(original) = borrowed {
                        own.copy(original, template.tree().slots(original));
                    }
                    self.stale |= below.is_present();
                    self.list[position].set(slot, Entry::owned_table(own.frame.number()));
                    self.list.push(own);
                    self.list.len() - 1
                }
            };
        }
        self.last_block = Some((page / BLOCK_LEN * BLOCK_LEN, position));
        Ok(position)
    }

    /// Empties the leaf entry of a page that is owned, and returns its frame.
    pub fn take_page(&mut self, page: u64) -> Option<Frame> {
        let table = match self.place(page).table {
            Some(position) => self.table(position),
            None => self.leaf_table(page)?,
        };
        let slot = index(page, 1);
        let entry = table.get(slot);
        let frame = entry.frame().filter(|_| entry.is_owned_page())?;
        table.set(slot, Entry::EMPTY);
        self.stale = true;
        // SAFETY: the entry was the only reference to its frame, and it is gone.
        Some(unsafe { Frame::from_raw(frame) })
    }

    fn position(&self, table: FrameNumber) -> usize {
        // Tables that were made last are used most.
        let position = self.list.iter().rposition(|own| own.frame.number() == table);
        position.expect("an entry that is not borrowed refers to an own table")
    }

    /// Calls `change` for every leaf in `start..end` whose page is owned. A frame it returns is no
    /// longer referred to and goes back to the reservation.
    pub fn for_owned_leaves(
        &mut self,
        start: u64,
        end: u64,
        reservation: &mut Reservation,
        mut change: impl FnMut(&Table, usize, Entry) -> Option<FrameNumber>,
    ) {
        self.stale = true;
        let mut page = start;
        while page < end {
            let block_end = (page + 1).next_multiple_of(BLOCK_LEN).min(end);
            // No table: nothing in this block was touched.
            if let Some(table) = self.leaf_table(page) {
                for slot in index(page, 1)..=index(block_end - 1, 1) {
                    let entry = table.get(slot);
                    if entry.is_owned_page()
                        && let Some(frame) = change(table, slot, entry)
                    {
                        // SAFETY: the entry owned the frame, and `change` removed the entry.
                        reservation.put(unsafe { Frame::from_raw(frame) });
                    }
                }
            }
            page = block_end;
        }
    }

    /// The owned level-1 table for `page`, if there is one.
    fn leaf_table(&self, page: u64) -> Option<&Table> {
        let mut table = self.table(ROOT);
        for level in (2..=4).rev() {
            let entry = table.get(index(page, level));
            let below = entry.frame().filter(|_| !entry.is_borrowed())?;
            // SAFETY: tables that are not borrowed are on the list, and live as long as it.
            table = unsafe { Table::at(below) };
        }
        Some(table)
    }

    /// Empties all tables and gives back every frame, of tables and of owned pages.
    pub fn clear(&mut self, reservation: &mut Reservation) {
        self.clear_from(ROOT, reservation);
    }

    /// The same for all but the skeleton, which is left as it was made.
    pub fn keep(&mut self, reservation: &mut Reservation) -> Skeleton {
        match self.list.len() {
            // Only its two leaf tables hold anything.
            SKELETON_LEN if !self.has_copies => self.clear_own(WINDOWS, reservation),
            SKELETON_LEN => {
                self.clear_own(IMAGE_3, reservation);
                self.link(ROOT, 0, IMAGE_3);
                self.image_block = None;
            }
            // It was never complete.
            0..SKELETON_LEN => self.clear(reservation),
            _ => {
                self.clear_from(SKELETON_LEN, reservation);
                self.link_skeleton();
            }
        }
        let mut list = core::mem::take(&mut self.list);
        // One instance with very many tables must not cost the core that memory for ever.
        list.shrink_to(TABLES_KEPT);
        Skeleton { list, image_block: self.image_block.take() }
    }

    /// Empties the tables from a position on.
    fn clear_own(&mut self, first: usize, reservation: &mut Reservation) {
        self.list[first..].iter_mut().for_each(|own| own.clear(reservation));
    }

    /// Empties all tables, and gives back those from position `kept` on.
    fn clear_from(&mut self, kept: usize, reservation: &mut Reservation) {
        if !self.list.is_empty() {
            self.set_kernel_slot(Entry::EMPTY);
        }
        self.clear_own(ROOT, reservation);
        for OwnTable { frame, .. } in self.list.drain(kept.min(self.list.len())..) {
            // SAFETY: a table is zero where no entry was ever written, and those are cleared now.
            unsafe { reservation.put_zeroed(frame) };
        }
    }
}
