//! Changes to a range of pages: private tables first, which may fail, then the change, which does
//! not.
//!
//! Most ranges lie within what one level-1 table maps. There either nothing is mapped yet, and
//! nothing is to be done, or that table is private already.

use core::ops::Range;

use super::tables::{OwnTables, ROOT, SKELETON_LEN};
use crate::Protection;
use crate::frames::{OutOfFrames, Reservation};
use crate::plan::PageRange;
use crate::table::{BLOCK_LEN, index, reach};
use crate::template::Template;
use limits::PAGE_LEN;

/// Pages that are looked at one by one before tables are made private for them.
const FEW_PAGES: u64 = 16;

/// A table, and what of the range lies in it.
#[derive(Clone, Copy)]
struct Part {
    position: usize,
    level: u32,
    range: PageRange,
}

impl Part {
    fn whole(range: PageRange) -> Self {
        Self { position: ROOT, level: 4, range }
    }

    /// Whether this is a leaf table in which nothing ever was there: a core's tables stay linked
    /// where an earlier instance used them.
    fn is_untouched_in(self, tables: &OwnTables) -> bool {
        let Self { position, level, range } = self;
        level == 1 && tables.own(position).is_untouched(leaf_slots(range))
    }

    /// The slots that the range touches, each with what of the range lies in it.
    fn slots(self) -> impl Iterator<Item = (usize, PageRange)> {
        let reach = reach(self.level);
        let PageRange { start, end } = self.range;
        let mut next = start;
        core::iter::from_fn(move || {
            let start = (next < end).then_some(next)?;
            next = (start / reach * reach).saturating_add(reach).min(end);
            Some((index(start, self.level), PageRange { start, end: next }))
        })
    }
}

/// What of a range is mapped, as far as that is found without making anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapped {
    /// Nothing.
    Nothing,
    /// What is in the private level-1 table at this position, which maps all of the range.
    Here(usize),
    /// That is not known.
    Somewhere,
}

/// The slots of a leaf table that map a range, which lies in its reach.
fn leaf_slots(range: PageRange) -> Range<usize> {
    index(range.start, 1)..index(range.end - 1, 1) + 1
}

impl OwnTables {
    /// What of a range is mapped.
    pub fn mapped(&mut self, range: PageRange) -> Mapped {
        let block = range.start / BLOCK_LEN;
        if block != (range.end - 1) / BLOCK_LEN {
            return Mapped::Somewhere;
        }
        if let Some(position) = self.place(range.start).table {
            return Mapped::Here(position);
        }
        let mut position = ROOT;
        for level in (2..=4).rev() {
            let entry = self.entry(position, index(range.start, level));
            match entry.frame() {
                None => return Mapped::Nothing,
                Some(_) if entry.is_borrowed() => return self.mapped_in_borrowed(range),
                Some(frame) => position = self.position(entry, frame),
            }
        }
        self.set_last_block(block * BLOCK_LEN, position);
        Mapped::Here(position)
    }

    /// Whether nothing is mapped in a range whose table is another's.
    fn mapped_in_borrowed(&self, range: PageRange) -> Mapped {
        let mut pages = (range.start..range.end).step_by(PAGE_LEN);
        let is_empty = (range.end - range.start) / PAGE_LEN as u64 <= FEW_PAGES
            && pages.all(|page| !self.leaf(self.place(page)).is_present());
        if is_empty { Mapped::Nothing } else { Mapped::Somewhere }
    }

    /// Empties all leaves in a range of which is known what is mapped; if it is not, then
    /// [its edges are open](Self::open_edges).
    pub fn clear_mapped(
        &mut self,
        range: PageRange,
        mapped: Mapped,
        reservation: &mut Reservation,
    ) {
        let Mapped::Here(position) = mapped else {
            if mapped == Mapped::Somewhere {
                self.clear_range(range, reservation);
            }
            return;
        };
        if self.own(position).is_untouched(leaf_slots(range)) {
            return;
        }
        let mut changes = false;
        let own = self.own_mut(position);
        for page in (range.start..range.end).step_by(PAGE_LEN) {
            let slot = index(page, 1);
            if own.table().get(slot).is_present() {
                changes = true;
                if let Some(frame) = own.take(slot) {
                    reservation.put(frame);
                }
            }
        }
        if changes {
            self.set_stale();
            if position >= SKELETON_LEN && self.is_crowded() && self.own(position).is_empty() {
                // The table can be used elsewhere.
                self.clear_range(range, reservation);
            }
        }
    }

    /// Gives all leaves in such a range a protection; if it is not known what is mapped, then the
    /// range [is open](Self::open_range).
    pub fn protect_mapped(&mut self, range: PageRange, mapped: Mapped, to: Option<Protection>) {
        match mapped {
            Mapped::Nothing => {}
            Mapped::Somewhere => self.protect_range(range, to),
            Mapped::Here(position) => {
                self.set_stale();
                self.protect_below(Part { position, level: 1, range }, to);
            }
        }
    }

    /// Makes private the tables that lie in the range only in part, so that [`Self::clear_range`]
    /// can change them.
    ///
    /// # Errors
    /// [`OutOfFrames`]; what is mapped is the same.
    pub fn open_edges(
        &mut self,
        range: PageRange,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        let PageRange { start, end } = range;
        for edge in [start, end] {
            let mut position = ROOT;
            for level in (2..=4).rev() {
                let slot = index(edge, level);
                if edge.is_multiple_of(reach(level)) || !self.entry(position, slot).is_present() {
                    break;
                }
                position = self.make_own(position, slot, reservation, template)?;
            }
        }
        Ok(())
    }

    /// Makes private all tables in the range, so that [`Self::protect_range`] can change them.
    ///
    /// # Errors
    /// As [`Self::open_edges`].
    pub fn open_range(
        &mut self,
        range: PageRange,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        self.open_below(Part::whole(range), reservation, template)
    }

    fn open_below(
        &mut self,
        part: Part,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<(), OutOfFrames> {
        for (slot, range) in part.slots() {
            if !self.entry(part.position, slot).is_present() {
                continue;
            }
            let position = self.make_own(part.position, slot, reservation, template)?;
            let level = part.level - 1;
            if level > 1 {
                self.open_below(Part { position, level, range }, reservation, template)?;
            }
        }
        Ok(())
    }

    /// Empties all leaves in the range, whose [edges are open](Self::open_edges). Frames of owned
    /// pages go back to the reservation; tables that are empty now are used again.
    pub fn clear_range(&mut self, range: PageRange, reservation: &mut Reservation) {
        self.set_stale();
        self.clear_below(Part::whole(range), reservation);
    }

    fn clear_below(&mut self, part: Part, reservation: &mut Reservation) {
        for (slot, range) in part.slots() {
            if part.level == 1 {
                if let Some(frame) = self.own_mut(part.position).take(slot) {
                    reservation.put(frame);
                }
                continue;
            }
            let entry = self.entry(part.position, slot);
            let Some(frame) = entry.frame() else { continue };
            let is_whole = range.end - range.start == reach(part.level);
            if entry.is_borrowed() {
                assert!(is_whole, "tables that lie partly in a range are open");
                self.unlink(part.position, slot);
                continue;
            }
            let position = self.position(entry, frame);
            let below = Part { position, level: part.level - 1, range };
            if !below.is_untouched_in(self) {
                self.clear_below(below, reservation);
            }
            if position >= SKELETON_LEN && self.is_crowded() && self.own(position).is_empty() {
                self.unlink(part.position, slot);
                self.vacate(position, reservation);
            }
        }
    }

    /// Gives all leaves in the range, which [is open](Self::open_range), a protection.
    fn protect_range(&mut self, range: PageRange, to: Option<Protection>) {
        self.set_stale();
        self.protect_below(Part::whole(range), to);
    }

    fn protect_below(&mut self, part: Part, to: Option<Protection>) {
        for (slot, range) in part.slots() {
            let entry = self.entry(part.position, slot);
            let Some(frame) = entry.frame() else { continue };
            if part.level == 1 {
                self.own_mut(part.position).set(slot, entry.with_protection(to));
            } else {
                let position = self.position(entry, frame);
                let below = Part { position, level: part.level - 1, range };
                if !below.is_untouched_in(self) {
                    self.protect_below(below, to);
                }
            }
        }
    }
}
