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
/// What one level-1 table maps.
const BLOCK: u64 = 2 << 20;

const _: () = assert!(WINDOWS_START.is_multiple_of(BLOCK));

/// A table, and what has to be cleared at its end.
#[derive(Debug)]
pub struct OwnTable {
    frame: Frame,
    slots: Slots,
    is_leaf: bool,
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
    /// No tables yet, and a list to put them on, which must be empty.
    pub fn new(mut list: Vec<OwnTable>) -> Self {
        assert!(list.is_empty(), "tables of one instance are no other's");
        list.reserve_exact(TABLES_KEPT);
        // What the root's frame was before, no processor may remember either.
        Self { list, stale: true }
    }

    /// Makes the root and the tables down to the windows.
    pub fn make_windows(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        for level in (1..=4).rev() {
            let frame = reservation.take()?;
            let number = frame.number();
            self.list.push(OwnTable { frame, slots: Slots::NONE, is_leaf: level == 1 });
            if let Some(above) = self.list.len().checked_sub(2) {
                self.set(above, index(WINDOWS_START, level + 1), Entry::owned_table(number));
            }
        }
        Ok(())
    }

    pub fn root(&self) -> &Frame {
        &self.list[ROOT].frame
    }

    pub fn take_stale(&mut self) -> bool {
        core::mem::take(&mut self.stale)
    }

    fn table(&self, position: usize) -> &Table {
        // SAFETY: frames on the list hold tables, and live as long as the list.
        unsafe { Table::at(self.list[position].frame.number()) }
    }

    fn set(&mut self, position: usize, slot: usize, entry: Entry) {
        self.list[position].slots.include(slot);
        let table = self.table(position);
        // Entries that are not present are never remembered (Intel SDM vol. 3A, 4.10.2.3).
        let changes = table.get(slot).is_present();
        table.set(slot, entry);
        self.stale |= changes;
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
    pub fn set_leaf(
        &mut self,
        page: u64,
        entry: Entry,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        if is_window(page) {
            self.set(WINDOWS, index(page, 1), entry);
            return Ok(());
        }
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
                    self.list.push(OwnTable { frame, slots, is_leaf: level == 2 });
                    self.list.len() - 1
                }
            };
        }
        self.set(position, index(page, 1), entry);
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
        if !self.list.is_empty() {
            self.set_kernel_slot(Entry::EMPTY);
        }
        for OwnTable { frame, slots, is_leaf } in self.list.drain(..) {
            // SAFETY: the table was on the list until now, and nothing runs on it any more.
            let table = unsafe { Table::at(frame.number()) };
            for slot in slots.iter() {
                let entry = table.get(slot);
                table.set(slot, Entry::EMPTY);
                if is_leaf
                    && entry.is_owned_page()
                    && let Some(page) = entry.frame()
                {
                    // SAFETY: the entry was the only reference to its frame.
                    reservation.put(unsafe { Frame::from_raw(page) });
                }
            }
            // SAFETY: a table is zero where no entry was ever written, and those are cleared now.
            unsafe { reservation.put_zeroed(frame) };
        }
    }

    /// The list, empty after [`Self::clear`], for the next instance.
    pub fn take_list(&mut self) -> Vec<OwnTable> {
        let mut list = core::mem::take(&mut self.list);
        // One instance with very many tables must not cost the core that memory for ever.
        list.shrink_to(TABLES_KEPT);
        list
    }
}

fn is_window(page: u64) -> bool {
    (WINDOWS_START..WINDOWS_START + BLOCK).contains(&page)
}
