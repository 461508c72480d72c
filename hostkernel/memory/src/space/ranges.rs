//! Changes to a range of pages: private tables first, which may fail, then the change, which does
//! not.

use super::tables::{OwnTables, ROOT, SKELETON_LEN};
use crate::Protection;
use crate::frames::{OutOfFrames, Reservation};
use crate::plan::PageRange;
use crate::table::{Entry, index, reach};
use crate::template::Template;

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

impl OwnTables {
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
                self.own(part.position).table().set(slot, Entry::EMPTY);
                continue;
            }
            let position = self.position(entry, frame);
            self.clear_below(Part { position, level: part.level - 1, range }, reservation);
            if position >= SKELETON_LEN && self.own(position).is_empty() {
                self.own(part.position).table().set(slot, Entry::EMPTY);
                self.vacate(position, reservation);
            }
        }
    }

    /// Gives all leaves in the range, which [is open](Self::open_range), a protection.
    pub fn protect_range(&mut self, range: PageRange, to: Option<Protection>) {
        self.set_stale();
        self.protect_below(Part::whole(range), to);
    }

    fn protect_below(&self, part: Part, to: Option<Protection>) {
        for (slot, range) in part.slots() {
            let entry = self.entry(part.position, slot);
            let Some(frame) = entry.frame() else { continue };
            if part.level == 1 {
                self.own(part.position).table().set(slot, entry.with_protection(to));
            } else {
                let position = self.position(entry, frame);
                self.protect_below(Part { position, level: part.level - 1, range }, to);
            }
        }
    }
}
