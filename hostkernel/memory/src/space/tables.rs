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
use super::own_list::OwnList;
use super::own_table::OwnTable;
use crate::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use crate::table::{BLOCK_LEN, Entry, Table, index, leaf};
use crate::template::Template;
use crate::tree::{Tree, Way};

/// Positions of the skeleton's tables.
pub(super) const ROOT: usize = 0;
const WINDOWS_3: usize = 1;
const WINDOWS_2: usize = 2;
const IMAGE_3: usize = 3;
const IMAGE_2: usize = 4;
const WINDOWS: usize = 5;
const IMAGE: usize = 6;
pub(super) const SKELETON_LEN: usize = 7;
/// The ways to the two leaf tables.
const IMAGES_WAY: [usize; 3] = [IMAGE_3, IMAGE_2, IMAGE];
const WINDOWS_WAY: [usize; 3] = [WINDOWS_3, WINDOWS_2, WINDOWS];
/// The level-4 slot that holds the kernel's entry code and the core's entry area.
const KERNEL_SLOT: usize = 511;

const _: () = assert!(WINDOWS_START.is_multiple_of(BLOCK_LEN));
const _: () = assert!(action_abi::IMAGE_END <= WINDOWS_START, "images have level-4 slot 0");

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
    pub table: Option<usize>,
}

/// All tables of one address space that are its own, the skeleton first.
#[derive(Debug)]
pub(super) struct OwnTables {
    list: OwnList,
    /// Where the block begins that `IMAGE` maps, if it is linked.
    image_block: Option<u64>,
    /// The block for which a way was made last, and the position of its table: who writes to much
    /// memory mostly goes on where it is.
    last_block: Option<(u64, usize)>,
    /// Below slot 0 of the root are entries of the template's tables.
    has_copies: bool,
    /// They are below other slots, too.
    is_whole: bool,
    /// A processor that remembers translations may remember one that has changed since.
    stale: bool,
}

impl OwnTables {
    /// No tables yet, or those that [`Self::keep`] left.
    pub fn new(Skeleton { list, image_block }: Skeleton) -> Self {
        assert!([0, SKELETON_LEN].contains(&list.len()), "tables of one instance are no other's");
        let list = OwnList::new(list);
        // What the root's frame was before, no processor may remember either.
        Self {
            list,
            image_block,
            last_block: None,
            has_copies: false,
            is_whole: false,
            stale: true,
        }
    }

    /// Makes the skeleton, if it is not there.
    #[inline]
    pub fn make_skeleton(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        if self.list.len() < SKELETON_LEN { self.complete_skeleton(reservation) } else { Ok(()) }
    }

    #[cold]
    fn complete_skeleton(&mut self, reservation: &mut Reservation) -> Result<(), OutOfFrames> {
        self.list.reserve()?;
        while self.list.len() < SKELETON_LEN {
            self.list.push(OwnTable::new(reservation.take()?), reservation)?;
        }
        self.link_skeleton();
        Ok(())
    }

    /// Enters the tables of the skeleton in the ones above them, but for those above `IMAGE`.
    fn link_skeleton(&mut self) {
        self.link(ROOT, 0, IMAGE_3);
        self.link_windows();
        self.image_block = None;
    }

    fn link(&mut self, above: usize, slot: usize, below: usize) {
        let number = self.list.get(below).frame.number();
        let entry = Entry::owned_table(number, self.list.hint(below));
        self.list.get_mut(above).set(slot, entry);
    }

    /// Maps the pages of the template's file. To be called once, before any other page is entered.
    pub fn borrow_image(&mut self, template: &Template, reservation: &mut Reservation) {
        match template.tree() {
            Tree::Leaves(leaves) => {
                if self.image_block != Some(leaves.block) {
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
                    None => self.list.get_mut(ROOT).set(0, Entry::borrowed_table(tables.root().0)),
                }
            }
            Tree::Whole(tables, windows) => {
                self.clear_image(reservation);
                self.is_whole = true;
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
        self.image_block = None;
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
        self.image_block = Some(block);
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
            _ if self.image_block == Some(block) => Some(IMAGE),
            _ => self.last_block.filter(|last| last.0 == block).map(|last| last.1),
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
        self.last_block = Some((block, position));
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
            position = self.make_own(position, index(page, level), reservation, template)?;
        }
        self.set_last_block(page / BLOCK_LEN * BLOCK_LEN, position);
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
            None => self.list.push(OwnTable::new(reservation.take()?), reservation)?,
        };
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
        self.list.get_mut(position).clear(reservation);
        self.list.vacate(position);
        self.last_block = None;
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

    /// The same for all but the skeleton, which is left as it was made.
    pub fn keep(&mut self, reservation: &mut Reservation) -> Skeleton {
        match self.list.len() {
            // Only its two leaf tables hold anything.
            SKELETON_LEN if !self.has_copies => self.clear_own(WINDOWS, reservation),
            SKELETON_LEN if !self.is_whole => {
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
        Skeleton { list: self.list.take_first(), image_block: self.image_block.take() }
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
