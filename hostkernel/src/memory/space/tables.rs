//! The page tables an address space owns: made private when something below them changes, emptied
//! and given back at the end.
//!
//! Which slots of a table were ever used is remembered, so that the end of an instance costs what
//! its life did. A level-1 table's owned leaves are the only references to their frames.

use alloc::vec::Vec;

use super::{KERNEL_SLOT, WINDOWS_START};
use crate::memory::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use crate::memory::table::{Entry, Slots, Table, index, leaf};
use crate::memory::template::Template;

/// Position of the root and of the level-1 table that all windows share.
const ROOT: usize = 0;
const WINDOWS: usize = 3;
/// The tables from the root to the windows: every instance has them, so a core keeps its own from
/// one instance to the next, empty but for the way down.
pub(super) const SKELETON_LEN: usize = WINDOWS + 1;
/// What one level-1 table maps.
const BLOCK: u64 = 2 << 20;

const _: () = assert!(WINDOWS_START.is_multiple_of(BLOCK));

/// A table, and what has to be cleared at its end.
#[derive(Debug)]
pub struct OwnTable {
    frame: Frame,
    /// Every slot that was ever written.
    slots: Slots,
    /// Those of them that may refer to owned pages; none but in a level-1 table.
    owned: Slots,
}

impl OwnTable {
    fn new(frame: Frame, slots: Slots) -> Self {
        Self { frame, slots, owned: Slots::NONE }
    }

    fn table(&self) -> &Table {
        // SAFETY: the frame holds a table, and lives as long as `self`.
        unsafe { Table::at(self.frame.number()) }
    }

    /// Gives back the pages that the table owns, and empties it.
    fn clear(&mut self, reservation: &mut Reservation) {
        if !self.owned.is_empty() {
            for entry in self.table().entries(self.owned) {
                if entry.is_owned_page()
                    && let Some(page) = entry.frame()
                {
                    // SAFETY: the entry was the only reference to its frame; it goes just below,
                    // and nothing walks the table any more.
                    reservation.put(unsafe { Frame::from_raw(page) });
                }
            }
            self.owned = Slots::NONE;
        }
        self.table().clear(self.slots);
        self.slots = Slots::NONE;
    }
}

/// Tables a core keeps room for from one instance to the next.
const TABLES_KEPT: usize = 64;

/// All tables of one address space that are its own, root first, then those above the windows.
#[derive(Debug)]
pub(super) struct OwnTables {
    list: Vec<OwnTable>,
    /// A processor that remembers translations may remember one that has changed since.
    stale: bool,
}

impl OwnTables {
    /// No tables yet, or those that [`Self::keep_skeleton`] left.
    pub fn new(mut list: Vec<OwnTable>) -> Self {
        assert!([0, SKELETON_LEN].contains(&list.len()), "tables of one instance are no other's");
        list.reserve_exact(TABLES_KEPT - list.len());
        // What the root's frame was before, no processor may remember either.
        Self { list, stale: true }
    }

    /// Makes the root and the tables down to the windows, if they are not there.
    pub fn make_windows(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        while self.list.len() < SKELETON_LEN {
            let table = OwnTable::new(reservation.take()?, Slots::NONE);
            self.list.push(table);
        }
        self.link_windows();
        Ok(())
    }

    /// Enters each table of the skeleton in the one above it.
    fn link_windows(&mut self) {
        for (below, level) in (1..SKELETON_LEN).zip((2..=4).rev()) {
            let number = self.list[below].frame.number();
            self.set(below - 1, index(WINDOWS_START, level), Entry::owned_table(number));
        }
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

    fn set(&mut self, position: usize, slot: usize, entry: Entry) {
        let own = &mut self.list[position];
        own.slots.include(slot);
        let table = own.table();
        // Entries that are not present are never remembered (Intel SDM vol. 3A, 4.10.2.3).
        let changes = table.get(slot).is_present();
        table.set(slot, entry);
        self.stale |= changes;
    }

    fn set_page(&mut self, position: usize, slot: usize, entry: Entry) {
        if entry.is_owned_page() {
            self.list[position].owned.include(slot);
        }
        self.set(position, slot, entry);
    }

    /// Makes the template's level-3 table the first of the root.
    pub fn borrow_image(&mut self, level_3: FrameNumber) {
        self.set(ROOT, 0, Entry::borrowed_table(level_3));
    }

    /// Makes the kernel's level-4 slot refer to a core's entry tables. Not counted among the root's
    /// slots: it is far from the others, and cleared by itself.
    pub fn set_kernel_slot(&mut self, entry: Entry) {
        self.table(ROOT).set(KERNEL_SLOT, entry);
    }

    /// The leaf entry that maps `page`, whoever owns the tables above it.
    pub fn leaf(&self, page: u64) -> Entry {
        if is_window(page) {
            return self.table(WINDOWS).get(index(page, 1));
        }
        // SAFETY: the root and everything below it live as long as the address space.
        unsafe { leaf(self.root().number(), page) }
    }

    /// Writes the leaf entry of `page`, making private every table on the way.
    #[inline]
    pub fn set_leaf(
        &mut self,
        page: u64,
        entry: Entry,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        if is_window(page) {
            self.set_page(WINDOWS, index(page, 1), entry);
            return Ok(());
        }
        self.set_far_leaf(page, entry, reservation, template)
    }

    /// The same outside the windows' block.
    #[inline(never)]
    fn set_far_leaf(
        &mut self,
        page: u64,
        entry: Entry,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        let mut position = ROOT;
        for level in (2..=4).rev() {
            let slot = index(page, level);
            let below = self.table(position).get(slot);
            position = match below.frame() {
                Some(own) if !below.is_borrowed() => self.position(own),
                borrowed => {
                    let frame = reservation.take()?;
                    let number = frame.number();
                    let slots = borrowed.map_or(Slots::NONE, |original| {
                        let slots = template.slots(original);
                        // SAFETY: the new frame is owned; the original is the template's, alive.
                        unsafe { Table::at(number).copy_from(Table::at(original), slots) };
                        slots
                    });
                    self.set(position, slot, Entry::owned_table(number));
                    self.list.push(OwnTable::new(frame, slots));
                    self.list.len() - 1
                }
            };
        }
        self.set_page(position, index(page, 1), entry);
        Ok(())
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
            let block_end = (page + 1).next_multiple_of(BLOCK).min(end);
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

    /// The same for all but the skeleton, which is left as it was made; hands out the list for the
    /// next instance.
    pub fn keep_skeleton(&mut self, reservation: &mut Reservation) -> Vec<OwnTable> {
        if self.list.len() < SKELETON_LEN {
            // It was never complete.
            self.clear(reservation);
        } else {
            self.clear_from(SKELETON_LEN, reservation);
            self.link_windows();
        }
        let mut list = core::mem::take(&mut self.list);
        // One instance with very many tables must not cost the core that memory for ever.
        list.shrink_to(TABLES_KEPT);
        list
    }

    /// Empties all tables, and gives back those from position `kept` on.
    fn clear_from(&mut self, kept: usize, reservation: &mut Reservation) {
        if !self.list.is_empty() {
            self.set_kernel_slot(Entry::EMPTY);
        }
        self.list.iter_mut().for_each(|own| own.clear(reservation));
        for OwnTable { frame, .. } in self.list.drain(kept.min(self.list.len())..) {
            // SAFETY: a table is zero where no entry was ever written, and those are cleared now.
            unsafe { reservation.put_zeroed(frame) };
        }
    }
}

fn is_window(page: u64) -> bool {
    (WINDOWS_START..WINDOWS_START + BLOCK).contains(&page)
}
