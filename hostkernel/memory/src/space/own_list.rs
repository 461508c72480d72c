//! The notes on the tables of an address space: found by position, never moved.
//!
//! As many as nearly every instance has are the core's, and stay with it from one instance to the
//! next. Those of an instance with more tables lie in frames of its own, so that it pays for them:
//!
//! ```text
//! first: 64 notes     directories ─▶ frame of frame numbers ─▶ chunk: frame of notes
//! ```
//!
//! The core also has tables in reserve, which an instance uses before it takes others, and pays for
//! as if they were its own.
//!
//! An entry that refers to an own table says where the note is: its position, or of those far back
//! the group that it is in. So a table is found in constant time, however many there are.

use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::num::NonZeroU32;

use limits::{MEMORY_MB_MAX, PAGE_LEN};

use super::own_table::OwnTable;
use crate::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use crate::physical::frame_pointer;
use crate::table::{BLOCK_LEN, HINT_MAX, Hint};

/// Notes that a core has room for.
pub(super) const TABLES_KEPT: usize = 64;
/// Notes in a frame.
const CHUNK_LEN: usize = PAGE_LEN / size_of::<OwnTable>();
/// Frame numbers in a frame.
const DIRECTORY_LEN: usize = PAGE_LEN / size_of::<u32>();
/// Positions that an entry says as they are: tables for 6 GiB of memory that lies together.
const NAMED: usize = 3 << 10;
/// Positions behind them that an entry says together.
const GROUP_LEN: usize = 64;
/// As many as an entry can say. So many tables map more than any memory limit; who has a table for
/// each page has as good as no memory left.
const TABLES_MAX: usize = NAMED + (HINT_MAX as usize - NAMED) * GROUP_LEN;
const CHUNKS_MAX: usize = (TABLES_MAX - TABLES_KEPT) / CHUNK_LEN;
const DIRECTORIES: usize = CHUNKS_MAX.div_ceil(DIRECTORY_LEN);

const _: () = assert!(TABLES_KEPT <= NAMED && NAMED < HINT_MAX as usize);
const _: () = assert!((CHUNKS_MAX * CHUNK_LEN) as u64 * BLOCK_LEN > MEMORY_MB_MAX << 20);

/// All notes of one address space.
#[derive(Debug)]
pub(super) struct OwnList {
    /// Those in use, and behind them those in reserve.
    first: Vec<OwnTable>,
    /// How many of them are in use.
    used: usize,
    /// How many are the core's.
    cores: usize,
    /// How many of those the instance pays for.
    charged: usize,
    /// Those in chunks.
    further: usize,
    directories: [Option<Frame>; DIRECTORIES],
    /// The first of the tables that are empty and not in use.
    vacant: Option<NonZeroU32>,
}

impl OwnList {
    /// A list of a core's tables, of which so many are in use.
    pub fn new(first: Vec<OwnTable>, used: usize) -> Self {
        let (cores, directories) = (first.len(), [const { None }; DIRECTORIES]);
        Self { first, used, cores, charged: 0, further: 0, directories, vacant: None }
    }

    /// Makes room for the notes of a core.
    pub fn reserve(&mut self) -> Result<(), OutOfFrames> {
        let missing = TABLES_KEPT - self.first.len();
        self.first.try_reserve_exact(missing).map_err(|_| OutOfFrames)
    }

    pub fn len(&self) -> usize {
        self.used + self.further
    }

    /// The position of the core's level-1 table for a block, if it is this one or one behind it.
    pub fn kept_for(&self, block: u64, from: usize) -> Option<usize> {
        let tables = self.first.get(from..self.used)?;
        tables.iter().position(|own| own.block == block).map(|at| from + at)
    }

    /// Whether no table is in reserve.
    pub fn is_crowded(&self) -> bool {
        self.used == self.first.len()
    }

    /// Whether all tables in use are the core's, and none of them is vacant.
    pub fn is_cores(&self) -> bool {
        self.used <= self.cores && self.vacant.is_none()
    }

    /// The tables in use that are not in chunks.
    pub fn first(&mut self) -> &mut [OwnTable] {
        &mut self.first[..self.used]
    }

    /// Says how many of the core's tables are in use.
    pub fn set_used(&mut self, used: usize) {
        assert!(used <= self.cores, "no others are kept");
        self.used = used;
    }

    /// The first of the core's tables, in use or not.
    pub fn cores(&mut self, len: usize) -> &mut [OwnTable] {
        &mut self.first[..len]
    }

    /// Puts a table in reserve.
    pub fn add_reserve(&mut self, frame: Frame) {
        self.first.push(OwnTable::new(frame));
    }

    #[inline]
    pub fn get(&self, position: usize) -> &OwnTable {
        match self.first.get(position) {
            Some(own) => own,
            // SAFETY: the list is borrowed as long as the result.
            None => unsafe { &*self.place(position) },
        }
    }

    #[inline]
    pub fn get_mut(&mut self, position: usize) -> &mut OwnTable {
        if position < self.first.len() {
            return &mut self.first[position];
        }
        // SAFETY: the list is borrowed exclusively as long as the result.
        unsafe { &mut *self.place(position) }
    }

    /// Lets the instance pay for tables of the core that it begins with.
    pub fn charge(
        &mut self,
        tables: usize,
        reservation: &mut Reservation,
    ) -> Result<(), OutOfFrames> {
        reservation.charge(tables)?;
        self.charged += tables;
        Ok(())
    }

    /// Adds an empty table; returns its position.
    pub fn add(&mut self, reservation: &mut Reservation) -> Result<usize, OutOfFrames> {
        let position = self.len();
        if self.used < self.first.len() {
            self.charge(1, reservation)?;
            self.used += 1;
            return Ok(position);
        }
        let own = OwnTable::new(reservation.take()?);
        if self.first.len() < TABLES_KEPT {
            self.first.push(own);
            self.used += 1;
            return Ok(position);
        }
        let (chunk, index) = (self.further / CHUNK_LEN, self.further % CHUNK_LEN);
        if index == 0
            && let Err(error) = self.add_chunk(chunk, reservation)
        {
            reservation.put(own.frame);
            return Err(error);
        }
        // SAFETY: the chunk is there, and nothing is at this place of it yet.
        unsafe { self.slot(chunk, index).write(MaybeUninit::new(own)) };
        self.further += 1;
        Ok(position)
    }

    /// Notes that a table is empty and not in use.
    pub fn vacate(&mut self, position: usize) {
        let vacant = self.vacant;
        self.get_mut(position).next_vacant = vacant;
        self.vacant = NonZeroU32::new(position as u32);
    }

    /// A table that is empty and not in use.
    pub fn reuse(&mut self) -> Option<usize> {
        let position = self.vacant?.get() as usize;
        self.vacant = self.get_mut(position).next_vacant.take();
        Some(position)
    }

    /// What an entry says that refers to the table at `position`.
    pub fn hint(&self, position: usize) -> Hint {
        let group = || NAMED + (position - NAMED) / GROUP_LEN;
        Hint(if position < NAMED { position } else { group() } as u16)
    }

    /// The position of a table that an entry refers to.
    pub fn find(&self, hint: Hint, table: FrameNumber) -> usize {
        let hint = usize::from(hint.0);
        let Some(group) = hint.checked_sub(NAMED) else { return hint };
        let start = NAMED + group * GROUP_LEN;
        let end = self.len().min(start + GROUP_LEN);
        let found = (start..end).find(|position| self.get(*position).frame.number() == table);
        found.expect("an entry that is not borrowed refers to an own table")
    }

    /// Takes out all tables from position `kept` on, each of which must be empty.
    pub fn truncate(&mut self, kept: usize, reservation: &mut Reservation) {
        let further = core::mem::take(&mut self.further);
        for index in 0..further {
            // SAFETY: it was written by `push`, and is read once, since none counts any more.
            let own = unsafe { self.slot(index / CHUNK_LEN, index % CHUNK_LEN).read() };
            // SAFETY: as above.
            let OwnTable { frame, .. } = unsafe { own.assume_init() };
            // SAFETY: a table is zero where no entry was ever written, and those are cleared now.
            unsafe { reservation.put_zeroed(frame) };
        }
        for chunk in 0..further.div_ceil(CHUNK_LEN) {
            // SAFETY: the chunk is there, nothing in it is used any more, and it goes once.
            reservation.put(unsafe { Frame::from_raw(self.chunk(chunk)) });
        }
        self.directories.iter_mut().filter_map(Option::take).for_each(|it| reservation.put(it));
        self.vacant = None;
        self.discharge(reservation);
        self.used = self.used.min(kept);
        for OwnTable { frame, .. } in self.first.drain(kept.max(self.cores).min(self.first.len())..)
        {
            // SAFETY: as above.
            unsafe { reservation.put_zeroed(frame) };
        }
    }

    /// Takes back what the instance paid for the core's tables.
    pub fn discharge(&mut self, reservation: &mut Reservation) {
        if self.charged > 0 {
            reservation.discharge(core::mem::take(&mut self.charged));
        }
    }

    /// The core's tables, when no others are left.
    pub fn take_first(&mut self) -> Vec<OwnTable> {
        assert!(self.further == 0, "what is an instance's own does not stay with the core");
        debug_assert_eq!(self.charged, 0, "who pays for them has ended");
        self.used = 0;
        core::mem::take(&mut self.first)
    }

    fn add_chunk(
        &mut self,
        chunk: usize,
        reservation: &mut Reservation,
    ) -> Result<(), OutOfFrames> {
        if chunk >= CHUNKS_MAX {
            return Err(OutOfFrames);
        }
        let notes = reservation.take()?;
        let directory = &mut self.directories[chunk / DIRECTORY_LEN];
        let directory = match directory {
            Some(directory) => directory,
            None => match reservation.take() {
                Ok(frame) => directory.insert(frame),
                Err(error) => {
                    reservation.put(notes);
                    return Err(error);
                }
            },
        };
        let numbers = frame_pointer(directory.number()).cast::<u32>();
        // SAFETY: the directory is this list's own frame, and the index is within it.
        unsafe { numbers.add(chunk % DIRECTORY_LEN).write(notes.into_raw().get()) };
        Ok(())
    }

    /// The frame of a chunk that is there.
    fn chunk(&self, chunk: usize) -> FrameNumber {
        let directory = self.directories[chunk / DIRECTORY_LEN].as_ref();
        let directory = directory.expect("a chunk has a directory");
        let numbers = frame_pointer(directory.number()).cast::<u32>();
        // SAFETY: the directory is this list's own frame; `add_chunk` wrote the number.
        let number = unsafe { numbers.add(chunk % DIRECTORY_LEN).read() };
        FrameNumber::new(number).expect("a chunk has a frame")
    }

    fn slot(&self, chunk: usize, index: usize) -> *mut MaybeUninit<OwnTable> {
        frame_pointer(self.chunk(chunk)).cast::<MaybeUninit<OwnTable>>().wrapping_add(index)
    }

    /// Where the note at a position in a chunk is.
    #[cold]
    fn place(&self, position: usize) -> *mut OwnTable {
        assert!(position < self.len(), "positions are those of tables");
        let index = position - TABLES_KEPT;
        self.slot(index / CHUNK_LEN, index % CHUNK_LEN).cast()
    }
}
