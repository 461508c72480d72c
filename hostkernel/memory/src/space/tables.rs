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
//!
//! The tables of an instance of a frozen template stay as a whole, if the core has as many: made
//! what they were at its start, they are those of the template's next instance. For another one
//! they are emptied first.

use alloc::vec::Vec;

use super::layout::WINDOWS_START;
use super::own_list::{OwnList, TABLES_KEPT};
use super::own_table::{NO_BLOCK, OwnTable};
use crate::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use crate::table::{BLOCK_LEN, Entry, Table, index, leaf};
use crate::template::{Frozen, Template, TemplateNumber};
use crate::tree::{Tree, Way};
use limits::TABLES_OF_CORE;

/// Positions of the skeleton's tables.
pub(super) const ROOT: usize = 0;
const WINDOWS_3: usize = 1;
const WINDOWS_2: usize = 2;
const IMAGE_3: usize = 3;
const IMAGE_2: usize = 4;
const WINDOWS: usize = 5;
const IMAGE: usize = 6;
pub(super) const SKELETON_LEN: usize = 7;

const _: () = assert!(SKELETON_LEN < TABLES_OF_CORE && TABLES_OF_CORE <= TABLES_KEPT);
/// The ways to the two leaf tables.
const IMAGES_WAY: [usize; 3] = [IMAGE_3, IMAGE_2, IMAGE];
const WINDOWS_WAY: [usize; 3] = [WINDOWS_3, WINDOWS_2, WINDOWS];
/// The level-4 slot that holds the kernel's entry code and the core's entry area.
const KERNEL_SLOT: usize = 511;

const _: () = assert!(WINDOWS_START.is_multiple_of(BLOCK_LEN));
const _: () = assert!(action_abi::IMAGE_END <= WINDOWS_START, "images have level-4 slot 0");

/// What a core keeps from one instance to the next: the tables that nearly all have, without
/// anything in them.
#[derive(Debug)]
pub struct Skeleton {
    list: Vec<OwnTable>,
    /// See [`OwnTables`].
    image_block: u64,
    /// Whose tables they are, if they are not without anything in them.
    kept: Option<Kept>,
}

/// Tables of an instance of a frozen template, as they are at its start.
#[derive(Clone, Copy, Debug)]
struct Kept {
    template: TemplateNumber,
    /// How many of the core's tables are in use.
    used: usize,
}

impl Default for Skeleton {
    fn default() -> Self {
        Self { list: Vec::new(), image_block: NO_BLOCK, kept: None }
    }
}

impl Skeleton {
    /// A whole one, so that a core's first instance leaves no less memory behind than it found.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there are none for its tables.
    pub fn new() -> Result<Self, OutOfFrames> {
        let mut reservation = Reservation::new(TABLES_OF_CORE)?;
        let mut tables = OwnTables::new(Self::default());
        tables.make_skeleton(&mut reservation)?;
        for _ in SKELETON_LEN..TABLES_OF_CORE {
            tables.list.add_reserve(reservation.take()?);
        }
        Ok(tables.keep(&mut reservation, || None))
    }

    /// Frames that the next instance need not take from its reservation.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.list.len().min(SKELETON_LEN)
    }
}

/// A page, and the position of the level-1 table for it if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub page: u64,
    pub table: Option<usize>,
}

/// All tables of one address space that are its own, the skeleton first.
#[derive(Debug)]
pub(super) struct OwnTables {
    list: OwnList,
    /// Where the block begins that `IMAGE` maps, if it is linked, or [`NO_BLOCK`].
    image_block: u64,
    /// The block for which a way was made last, and the position of its table: who writes to much
    /// memory mostly goes on where it is.
    last_block: (u64, usize),
    /// Below slot 0 of the root are entries of the template's tables.
    has_copies: bool,
    /// They are below other slots, too.
    is_whole: bool,
    /// They are those of an instance of the same template, and what it begins with is in them, once
    /// [`Self::begin`] has seen to that.
    kept: Option<Kept>,
    /// All that differs from the start is in leaf tables, and noted there.
    is_restorable: bool,
    /// A processor that remembers translations may remember one that has changed since.
    stale: bool,
}

impl OwnTables {
    /// No tables yet, or those that [`Self::keep`] left.
    pub fn new(Skeleton { list, image_block, kept }: Skeleton) -> Self {
        // What the root's frame was before, no processor may remember either.
        let used = list.len().min(SKELETON_LEN);
        Self {
            list: OwnList::new(list, used),
            image_block,
            last_block: (NO_BLOCK, 0),
            has_copies: false,
            is_whole: false,
            kept,
            is_restorable: true,
            stale: true,
        }
    }

    /// Goes on with tables that were kept, if they are this template's; otherwise empties them. To
    /// be called at once.
    #[inline]
    pub fn begin(&mut self, template: &Template) {
        if let Some(kept) = self.kept {
            self.begin_kept(kept, template);
        }
    }

    #[inline(never)]
    fn begin_kept(&mut self, kept: Kept, template: &Template) {
        if template.frozen().map(Frozen::number) == Some(kept.template) {
            self.list.set_used(kept.used);
            // From now on, whether the instance comes to anything or not.
            (self.has_copies, self.is_whole) = (true, true);
        } else {
            self.kept = None;
            self.list.cores(kept.used).iter_mut().for_each(OwnTable::forget);
            self.link_skeleton();
        }
    }

    /// Makes the skeleton, if it is not there.
    #[inline]
    pub fn make_skeleton(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        match self.list.len() {
            SKELETON_LEN => Ok(()),
            0..SKELETON_LEN => self.complete_skeleton(reservation),
            kept => self.list.charge(kept - SKELETON_LEN, reservation),
        }
    }

    #[cold]
    fn complete_skeleton(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        self.list.reserve()?;
        while self.list.len() < SKELETON_LEN {
            self.list.add(reservation)?;
        }
        self.link_skeleton();
        Ok(())
    }

    /// Enters the tables of the skeleton in the ones above them, but for those above `IMAGE`.
    fn link_skeleton(&mut self) {
        self.link(ROOT, 0, IMAGE_3);
        self.link_windows();
        self.image_block = NO_BLOCK;
    }

    fn link(&mut self, above: usize, slot: usize, below: usize) {
        let number = self.list.get(below).frame.number();
        let entry = Entry::owned_table(number, self.list.hint(below));
        self.list.get_mut(above).link(slot, entry);
    }

    /// Maps the pages of the template's file. To be called once, before any other page is entered.
    pub fn borrow_image(&mut self, template: &Template, reservation: &mut Reservation) {
        match template.tree() {
            Tree::Leaves(leaves) => {
                if self.image_block != leaves.block {
                    self.list.get_mut(IMAGE_3).clear(reservation);
                    self.list.get_mut(IMAGE_2).clear(reservation);
                    self.link_image(leaves.block);
                }
                self.list.get_mut(IMAGE).fill(leaves.first, &leaves.entries);
            }
            Tree::Tables(tables) => {
                self.clear_image(reservation);
                match &tables.written {
                    Some(way) => self.copy_way(way, IMAGES_WAY),
                    None => self.list.get_mut(ROOT).link(0, Entry::borrowed_table(tables.root().0)),
                }
            }
            Tree::Whole(..) if self.kept.is_some() => {}
            Tree::Whole(tables, windows) => {
                self.clear_image(reservation);
                self.is_whole = true;
                self.list.first().iter_mut().for_each(OwnTable::begin);
                let (root, slots) = tables.root();
                self.list.get_mut(ROOT).copy(root, slots);
                self.copy_way(windows, WINDOWS_WAY);
                self.link_windows();
                if let Some(way) = &tables.written {
                    self.copy_way(way, IMAGES_WAY);
                    self.link(ROOT, 0, IMAGE_3);
                }
            }
        }
    }

    /// Empties the tables on the way to `IMAGE`, since others will be entered there.
    fn clear_image(&mut self, reservation: &mut Reservation) {
        self.has_copies = true;
        self.image_block = NO_BLOCK;
        self.list.get_mut(IMAGE_3).clear(reservation);
        self.list.get_mut(IMAGE_2).clear(reservation);
    }

    /// Begins with copies of a template's tables.
    fn copy_way(&mut self, way: &Way, positions: [usize; 3]) {
        for (own, original) in positions.into_iter().zip(way.tables) {
            let Some((original, slots)) = original else { break };
            self.list.get_mut(own).copy(original, slots);
        }
        if positions == IMAGES_WAY {
            self.link_image(way.block);
        }
    }

    fn link_windows(&mut self) {
        self.link(ROOT, index(WINDOWS_START, 4), WINDOWS_3);
        self.link(WINDOWS_3, index(WINDOWS_START, 3), WINDOWS_2);
        self.link(WINDOWS_2, index(WINDOWS_START, 2), WINDOWS);
    }

    fn link_image(&mut self, block: u64) {
        self.link(IMAGE_3, index(block, 3), IMAGE_2);
        self.link(IMAGE_2, index(block, 2), IMAGE);
        self.image_block = block;
    }

    pub fn root(&self) -> &Frame {
        &self.list.get(ROOT).frame
    }

    pub fn take_stale(&mut self) -> bool {
        core::mem::take(&mut self.stale)
    }

    fn table(&self, position: usize) -> &Table {
        self.list.get(position).table()
    }

    /// Where the level-1 table for `page` is, as far as that is known without a walk.
    pub fn place(&self, page: u64) -> Place {
        let block = page / BLOCK_LEN * BLOCK_LEN;
        let table = match block {
            WINDOWS_START => Some(WINDOWS),
            _ if self.image_block == block => Some(IMAGE),
            _ => (self.last_block.0 == block).then_some(self.last_block.1),
        };
        Place { page, table }
    }

    fn set_page(&mut self, position: usize, slot: usize, entry: Entry) {
        let own = self.list.get_mut(position);
        // Entries that are not present are never remembered (Intel SDM vol. 3A, 4.10.2.3).
        self.stale |= own.table().get(slot).is_present();
        if entry.is_owned_page() {
            own.set_owned(slot, entry);
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

    /// The position of the own level-1 table for `page`, which is made if there is none.
    pub fn open_block(
        &mut self,
        page: u64,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<usize, OutOfFrames> {
        match self.place(page).table {
            Some(position) => Ok(position),
            None => self.make_way(page, reservation, template),
        }
    }

    /// Notes which table maps a block.
    pub fn set_last_block(&mut self, block: u64, position: usize) {
        self.last_block = (block, position);
    }

    /// Makes private every table on the way to `page`; returns the position of the last.
    #[inline(never)]
    fn make_way(
        &mut self,
        page: u64,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<usize, OutOfFrames> {
        let block = page / BLOCK_LEN * BLOCK_LEN;
        let kept = if self.kept.is_some() { self.list.kept_for(block, SKELETON_LEN) } else { None };
        let mut position = kept.unwrap_or(ROOT);
        for level in (2..=4).rev().filter(|_| kept.is_none()) {
            position = self.make_own(position, index(page, level), reservation, template)?;
        }
        self.list.get_mut(position).block = block;
        self.set_last_block(block, position);
        Ok(position)
    }

    /// Makes private the table that a slot of the one at `above` refers to, or one that is new if
    /// it refers to none; returns its position.
    pub fn make_own(
        &mut self,
        above: usize,
        slot: usize,
        reservation: &mut Reservation,
        template: &Template,
    ) -> Result<usize, OutOfFrames> {
        let below = self.table(above).get(slot);
        let borrowed = match below.frame() {
            Some(own) if !below.is_borrowed() => return Ok(self.list.find(below.hint(), own)),
            borrowed => borrowed,
        };
        let position = match self.list.reuse() {
            Some(position) => position,
            None => self.list.add(reservation)?,
        };
        self.list.get_mut(position).begin();
        if let Some(original) = borrowed {
            self.list.get_mut(position).copy(original, template.slots(original));
        }
        self.stale |= below.is_present();
        self.link(above, slot, position);
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

    /// The entry in a slot of the table at a position.
    pub fn entry(&self, position: usize, slot: usize) -> Entry {
        self.table(position).get(slot)
    }

    /// What is noted of the table at a position.
    pub fn own(&self, position: usize) -> &OwnTable {
        self.list.get(position)
    }

    pub fn own_mut(&mut self, position: usize) -> &mut OwnTable {
        self.list.get_mut(position)
    }

    /// Gives up all pages that are owned, which somebody else owns from now on.
    pub fn give_pages_away(&mut self) {
        self.is_restorable = false;
        for position in 0..self.list.len() {
            self.list.get_mut(position).give_pages_away();
        }
    }

    /// Where the own table is that an entry refers to.
    pub fn position(&self, entry: Entry, table: FrameNumber) -> usize {
        self.list.find(entry.hint(), table)
    }

    /// Keeps a table that nothing refers to any more for the next one that is needed.
    pub fn vacate(&mut self, position: usize, reservation: &mut Reservation) {
        let own = self.list.get_mut(position);
        own.clear(reservation);
        // Nobody is to find it for the block that it mapped.
        own.begin();
        self.list.vacate(position);
        self.last_block = (NO_BLOCK, 0);
    }

    /// Whether they are those of the instance before.
    #[cfg(test)]
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether no table is left in reserve.
    pub fn is_crowded(&self) -> bool {
        self.list.is_crowded()
    }

    /// Empties a slot of a table that is not a leaf.
    pub fn unlink(&mut self, position: usize, slot: usize) {
        self.is_restorable = false;
        self.table(position).set(slot, Entry::EMPTY);
    }

    /// Notes that entries change which a processor may remember.
    pub fn set_stale(&mut self) {
        self.stale = true;
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
    #[inline]
    pub fn clear(&mut self, reservation: &mut Reservation) {
        // Mostly the core has kept them.
        if self.list.len() > 0 {
            self.clear_from(ROOT, reservation);
        }
    }

    /// The same for all but the skeleton, which is left as it was made, or for nothing but what the
    /// instance changed, if all tables can stay for the next one of its template.
    pub fn keep(
        &mut self,
        reservation: &mut Reservation,
        template: impl FnOnce() -> Option<TemplateNumber>,
    ) -> Skeleton {
        let mut kept = None;
        match self.list.len() {
            used if self.is_whole && self.is_restorable && self.list.is_cores() => {
                self.set_kernel_slot(Entry::EMPTY);
                self.list.first().iter_mut().for_each(|own| own.restore(reservation));
                self.list.discharge(reservation);
                kept = template().map(|template| Kept { template, used });
            }
            // Only its two leaf tables hold anything.
            SKELETON_LEN if !self.has_copies => self.clear_own(WINDOWS, reservation),
            SKELETON_LEN if !self.is_whole => {
                self.clear_own(IMAGE_3, reservation);
                self.link(ROOT, 0, IMAGE_3);
                self.image_block = NO_BLOCK;
            }
            // It was never complete.
            0..SKELETON_LEN => self.clear(reservation),
            _ => {
                self.clear_from(SKELETON_LEN, reservation);
                self.link_skeleton();
            }
        }
        Skeleton { list: self.list.take_first(), image_block: self.image_block, kept }
    }

    /// Empties tables of the skeleton, from a position on.
    fn clear_own(&mut self, first: usize, reservation: &mut Reservation) {
        self.list.first()[first..].iter_mut().for_each(|own| own.clear(reservation));
    }

    /// Empties all tables, and gives back those from position `kept` on.
    fn clear_from(&mut self, kept: usize, reservation: &mut Reservation) {
        self.set_kernel_slot(Entry::EMPTY);
        for position in 0..self.list.len() {
            self.list.get_mut(position).clear(reservation);
        }
        self.list.truncate(kept, reservation);
    }
}
