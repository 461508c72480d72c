//! One page table that an address space owns, and what has to be cleared at its end.

use core::num::NonZeroU32;

use crate::frames::{Frame, FrameNumber, Reservation};
use crate::table::{Entry, Marks, Slots, Table};

/// A table, and what has to be cleared at its end.
#[derive(Debug)]
pub(super) struct OwnTable {
    pub frame: Frame,
    /// Holds every slot that refers to something that is not owned, or to an own table.
    filled: Slots,
    /// Slots with owned pages, or that had one; none but in a level-1 table.
    owned: Marks,
    /// The next of the tables that are not in use, if this is one.
    pub next_vacant: Option<NonZeroU32>,
}

impl OwnTable {
    pub fn new(frame: Frame) -> Self {
        Self { frame, filled: Slots::NONE, owned: Marks::default(), next_vacant: None }
    }

    pub fn table(&self) -> &Table {
        // SAFETY: the frame holds a table, and lives as long as `self`.
        unsafe { Table::at(self.frame.number()) }
    }

    pub fn set(&mut self, slot: usize, entry: Entry) {
        self.filled.include(slot);
        self.table().set(slot, entry);
    }

    /// Enters a page that is owned from now on.
    pub fn set_owned(&mut self, slot: usize, entry: Entry) {
        self.owned.insert(slot);
        self.table().set(slot, entry);
    }

    /// Empties a slot; returns the page it owned.
    pub fn take(&mut self, slot: usize) -> Option<Frame> {
        let entry = self.table().get(slot);
        self.table().set(slot, Entry::EMPTY);
        let frame = entry.frame().filter(|_| entry.is_owned_page())?;
        self.owned.remove(slot);
        // SAFETY: the entry was the only reference to its frame, and it is gone.
        Some(unsafe { Frame::from_raw(frame) })
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.owned.is_empty()
            && self.filled.range().all(|slot| !self.table().get(slot).is_present())
    }

    pub fn fill(&mut self, first: usize, entries: &[Entry]) {
        let Some(last) = entries.len().checked_sub(1) else { return };
        self.filled.include(first);
        self.filled.include(first + last);
        // SAFETY: no processor runs on the tables of a space that is being laid out.
        unsafe { self.table().fill(first, entries) };
    }

    /// Takes over the entries of a table of the template.
    pub fn copy(&mut self, original: FrameNumber, slots: Slots) {
        self.filled.include_all(slots);
        // SAFETY: the original is the template's: alive, and never changed. Nothing refers to this
        // table yet, or no processor runs on it.
        unsafe { self.table().copy_from(Table::at(original), slots) };
    }

    /// Empties the slots of owned pages, which are somebody else's from now on.
    pub fn give_pages_away(&mut self) {
        let Self { frame, owned, .. } = self;
        // SAFETY: as in `table`.
        let table = unsafe { Table::at(frame.number()) };
        owned.drain(|slot| table.set(slot, Entry::EMPTY));
    }

    /// Gives back the pages that the table owns, and empties it. No processor runs on it any more.
    pub fn clear(&mut self, reservation: &mut Reservation) {
        let Self { frame, filled, owned, .. } = self;
        // SAFETY: as in `table`.
        let table = unsafe { Table::at(frame.number()) };
        reservation.put_each(|returns| {
            owned.drain(|slot| {
                let entry = table.get(slot);
                table.set(slot, Entry::EMPTY);
                if entry.is_owned_page()
                    && let Some(page) = entry.frame()
                {
                    // SAFETY: the entry was the only reference to its frame, and it is gone.
                    returns.put(unsafe { Frame::from_raw(page) });
                }
            });
        });
        // SAFETY: the caller's promise.
        unsafe { table.clear(core::mem::replace(filled, Slots::NONE)) };
    }
}
