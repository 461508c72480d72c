//! One page table that an address space owns, and what has to be done at its end: emptied, or made
//! what it was at the start of an instance of the same template.

use core::num::NonZeroU32;
use core::ops::Range;

use crate::frames::{Frame, FrameNumber, Reservation};
use crate::table::{Entry, Marks, Slots, Table};

/// No block begins there.
pub(super) const NO_BLOCK: u64 = u64::MAX;

/// A table, and what has to be cleared at its end.
#[derive(Debug)]
pub(super) struct OwnTable {
    pub frame: Frame,
    /// Holds every slot that refers to something that is not owned, or to an own table.
    filled: Slots,
    /// Slots with owned pages, or that had one; none but in a level-1 table.
    owned: Marks,
    /// The template's table that it began as a copy of.
    origin: Option<(FrameNumber, Slots)>,
    /// Where the block begins that it maps, if it is a level-1 table that was made for one, or
    /// [`NO_BLOCK`].
    pub block: u64,
    /// Other slots of a level-1 table hold something else than at the start.
    changed: bool,
    /// The next of the tables that are not in use, if this is one.
    pub next_vacant: Option<NonZeroU32>,
}

impl OwnTable {
    pub fn new(frame: Frame) -> Self {
        Self {
            frame,
            filled: Slots::NONE,
            owned: Marks::default(),
            origin: None,
            block: NO_BLOCK,
            changed: false,
            next_vacant: None,
        }
    }

    pub fn table(&self) -> &Table {
        // SAFETY: the frame holds a table, and lives as long as `self`.
        unsafe { Table::at(self.frame.number()) }
    }

    /// Forgets what it was before it was empty.
    pub fn begin(&mut self) {
        (self.origin, self.block, self.changed) = (None, NO_BLOCK, false);
    }

    /// Makes a slot refer to a table.
    pub fn link(&mut self, slot: usize, entry: Entry) {
        self.filled.include(slot);
        self.table().set(slot, entry);
    }

    /// Enters a page that is somebody else's, or another protection of one.
    pub fn set(&mut self, slot: usize, entry: Entry) {
        self.changed = true;
        self.link(slot, entry);
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
        self.changed = true;
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

    /// Whether nothing ever was in these slots, of which there is at least one.
    pub fn is_untouched(&self, slots: Range<usize>) -> bool {
        let filled = self.filled.range();
        let is_apart = slots.end <= filled.start || filled.end <= slots.start;
        is_apart && !self.owned.has_any(slots)
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
        self.origin = Some((original, slots));
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

    /// Gives back the pages that the table owns, and makes it what it was when the instance began,
    /// but for tables that it refers to besides. No processor runs on it any more, and the
    /// template's table is alive.
    pub fn restore(&mut self, reservation: &mut Reservation) {
        let Self { frame, filled, owned, origin, changed, .. } = self;
        // SAFETY: as in `table`.
        let table = unsafe { Table::at(frame.number()) };
        // SAFETY: the caller's promise.
        let original = origin.map(|(original, _)| unsafe { Table::at(original) });
        if !owned.is_empty() {
            reservation.put_each(|returns| {
                owned.drain(|slot| {
                    let entry = table.get(slot);
                    table.set(slot, original.map_or(Entry::EMPTY, |it| it.get(slot)));
                    if entry.is_owned_page()
                        && let Some(page) = entry.frame()
                    {
                        // SAFETY: the entry was the only reference to its frame, and it is gone.
                        returns.put(unsafe { Frame::from_raw(page) });
                    }
                });
            });
        }
        if core::mem::take(changed) {
            match original {
                // SAFETY: no processor runs on the table, and nobody changes the original.
                Some(original) => unsafe { table.copy_from(original, *filled) },
                // SAFETY: as above.
                None => unsafe { table.clear(*filled) },
            }
            *filled = origin.map_or(Slots::NONE, |(_, slots)| slots);
        }
    }

    /// Empties a table that owns no page. No processor runs on it any more.
    pub fn forget(&mut self) {
        debug_assert!(self.owned.is_empty(), "pages go back to a reservation");
        let filled = core::mem::replace(&mut self.filled, Slots::NONE);
        // SAFETY: the caller's promise.
        unsafe { self.table().clear(filled) };
    }

    /// Gives back the pages that the table owns, and empties it. No processor runs on it any more.
    pub fn clear(&mut self, reservation: &mut Reservation) {
        let Self { frame, owned, .. } = self;
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
        self.forget();
    }
}
