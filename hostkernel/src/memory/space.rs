//! The address space of one invocation.
//!
//! ```text
//! 0x00_0000_0000  never mapped (null pointers)
//! 0x00_0001_0000  image: segments of the template, borrowed until written     level-4 slot 0
//! 0x80_0000_0000  guard page                                                  level-4 slot 1
//! 0x80_0000_1000  stack, 1 MiB - 4 KiB, grows down from 0x80_0010_0000
//! 0x80_0010_1000  context page and environment, read-only
//! 0x80_0011_0000  input, read-only; then, a guard page later, the output window
//! 0x80_0100_0000  heap, as long as the memory limit
//! 0x80_8000_0000  what the action maps itself
//! 0x100_0000_0000 end: nothing above is ever mapped for an action
//! 0xffff_ff80...  level-4 slot 511: the kernel's entry code and this core's entry area
//! ```
//!
//! The small windows share one 2 MiB block, so that a short invocation needs few tables. Pages
//! appear when they are touched, by the action through [`AddressSpace::resolve`] or by the kernel
//! on its behalf. The kernel never dereferences an address of an action: it walks these tables and
//! reads the frame through the direct map, so there is no fault to recover from.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::buffer::PageBuffer;
use super::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use super::physical::{frame_pointer, speculation_barrier};
use super::regions::{Backing, Region, Regions};
use super::table::{Entry, Slots, Table, index, leaf};
use super::template::{PageRange, Template};
use crate::config::{ACTION_STACK_LEN, ENVIRONMENT_LEN_MAX, OUTPUT_LEN_MAX, PAGE_LEN};
use crate::dispatch::Access;
use crate::image::Protection;

const PAGE: u64 = PAGE_LEN as u64;
const WINDOWS_START: u64 = action_abi::IMAGE_END;
const STACK: PageRange =
    PageRange { start: WINDOWS_START + PAGE, end: WINDOWS_START + ACTION_STACK_LEN as u64 };
const CONTEXT_START: u64 = STACK.end + PAGE;
const CONTEXT_END_MAX: u64 = CONTEXT_START
    + (size_of::<action_abi::Context>() + ENVIRONMENT_LEN_MAX + DEADLINE_LEN_MAX)
        .next_multiple_of(PAGE_LEN) as u64;
/// What the worker adds to the environment: `__OW_DEADLINE=` and a number.
const DEADLINE_LEN_MAX: usize = 64;
const INPUT_START: u64 = STACK.end + 16 * PAGE;
const HEAP_START: u64 = WINDOWS_START + (16 << 20);
const MAPPED_START: u64 = WINDOWS_START + (2 << 30);
/// No page at or above this address is ever mapped for an action.
pub const USER_END: u64 = 0x100_0000_0000;
/// Tables that a short invocation needs: room is made for them at once.
const TABLES_TYPICAL: usize = 8;
/// The level-4 slot that holds the kernel's entry code and the core's entry area.
const KERNEL_SLOT: usize = 511;

const _: () = assert!(CONTEXT_END_MAX < INPUT_START);
const _: () = assert!(HEAP_START + ((crate::config::MEMORY_MB_MAX) << 20) < MAPPED_START);
// A return address past the last page is canonical: `syscall` can never leave rip non-canonical.
const _: () = assert!(USER_END < 1 << 47);

/// Why memory could not be provided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is mapped there, or not for this kind of access.
    NotAllowed,
    /// The page below the stack was touched.
    StackOverflow,
    /// The memory limit is used up.
    OutOfMemory,
    /// The range is not one the action mapped, or has no pages.
    BadRange,
    /// The address space has too many regions.
    TooManyRegions,
}

impl From<OutOfFrames> for Refusal {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfMemory
    }
}

/// The address space of one invocation; dropping it gives back exactly what was touched.
#[derive(Debug)]
pub struct AddressSpace {
    // The root comes first. With the slots that were ever used: what has to be cleared at the end.
    tables: Vec<(Frame, Slots)>,
    regions: Regions,
    reservation: Reservation,
    // Borrowed entries point into these two; they must outlive the tables.
    template: Arc<Template>,
    input: PageBuffer,
    output: PageRange,
    mapped_end: u64,
    enterable: bool,
    /// A processor that remembers translations may remember one that has changed since.
    stale: bool,
    /// Page faults resolved.
    pub faults: u64,
}

impl AddressSpace {
    /// Makes the address space of a new instance of `template`: its image, a stack, `input`, an
    /// output window and a heap of `heap_len` bytes. All frames it will ever own come out of
    /// `reservation`.
    ///
    /// # Errors
    /// [`Refusal::OutOfMemory`] if the reservation is too small even for the first tables.
    pub fn new(
        template: Arc<Template>,
        input: PageBuffer,
        heap_len: u64,
        mut reservation: Reservation,
    ) -> Result<Self, Refusal> {
        let root = reservation.take()?;
        let mut tables = Vec::with_capacity(TABLES_TYPICAL);
        tables.push((root, Slots::NONE));
        let input_len = (input.len() as u64).next_multiple_of(PAGE);
        let output_start = INPUT_START + input_len + PAGE;
        let output = PageRange { start: output_start, end: output_start + OUTPUT_LEN_MAX as u64 };
        assert!(output.end <= HEAP_START, "input and output fit below the heap");
        let mut space = Self {
            tables,
            regions: Regions::new(),
            reservation,
            template,
            input,
            output,
            mapped_end: MAPPED_START,
            enterable: false,
            // What the root's frame was before, no processor may remember either.
            stale: true,
            faults: 0,
        };
        let table = space.template.table();
        space.set_own(space.root_table(), 0, Entry::borrowed_table(table));
        space.add_regions(heap_len.next_multiple_of(PAGE))?;
        space.place_input()?;
        Ok(space)
    }

    fn add_regions(&mut self, heap_len: u64) -> Result<(), Refusal> {
        let template = self.template.clone();
        let image = template
            .segments()
            .iter()
            .map(|segment| Region::new(segment.range, segment.protection, Backing::Image));
        let heap = PageRange { start: HEAP_START, end: HEAP_START + heap_len };
        let windows = [
            Region::new(STACK, Protection::ReadWrite, Backing::Stack),
            Region::new(self.output, Protection::ReadWrite, Backing::Zero),
            Region::new(heap, Protection::ReadWrite, Backing::Zero),
        ];
        for region in image.chain(windows) {
            self.regions.insert(region).map_err(|_| Refusal::TooManyRegions)?;
        }
        Ok(())
    }

    fn place_input(&mut self) -> Result<(), Refusal> {
        let pages = self.input.pages().len() as u64;
        for page in 0..pages {
            let frame = self.input.pages()[page as usize].number();
            let entry = Entry::borrowed_page(frame, Protection::Read);
            self.set_leaf(INPUT_START + page * PAGE, entry)?;
        }
        if pages > 0 {
            let range = PageRange { start: INPUT_START, end: INPUT_START + pages * PAGE };
            let region = Region::new(range, Protection::Read, Backing::Placed);
            self.regions.insert(region).map_err(|_| Refusal::TooManyRegions)?;
        }
        Ok(())
    }

    /// Maps the context structure and, right behind it, the environment, read-only.
    ///
    /// # Errors
    /// [`Refusal::OutOfMemory`] if the reservation does not cover them.
    pub fn place_context(&mut self, context: &[u8], environment: &[u8]) -> Result<(), Refusal> {
        let len = context.len() + environment.len();
        let end = CONTEXT_START + (len as u64).next_multiple_of(PAGE);
        assert!(end <= CONTEXT_END_MAX, "the context is bounded");
        let range = PageRange { start: CONTEXT_START, end };
        let mut region = Region::new(range, Protection::Read, Backing::Placed);
        region.touch(range);
        self.regions.insert(region).map_err(|_| Refusal::TooManyRegions)?;
        let (mut context, mut environment) = (context, environment);
        for page in (range.start..range.end).step_by(PAGE_LEN) {
            let mut frame = self.reservation.take()?;
            let (first, rest) = frame.bytes_mut().split_at_mut(context.len().min(PAGE_LEN));
            first.copy_from_slice(context.split_off(..first.len()).unwrap_or_default());
            let count = environment.len().min(rest.len());
            rest[..count].copy_from_slice(environment.split_off(..count).unwrap_or_default());
            let entry = Entry::owned_page(frame.number(), Protection::Read);
            self.own_page(page, frame, entry)?;
        }
        Ok(())
    }

    /// Where the context is mapped.
    #[must_use]
    pub fn context_address(&self) -> u64 {
        CONTEXT_START
    }

    /// Where the input is mapped.
    #[must_use]
    pub fn input_range(&self) -> action_abi::Range {
        action_abi::Range { address: INPUT_START, len: self.input.len() as u64 }
    }

    /// The output window.
    #[must_use]
    pub fn output_range(&self) -> action_abi::Range {
        as_abi(self.output)
    }

    /// The stack; execution starts with the stack pointer at its end.
    #[must_use]
    pub fn stack_range(&self) -> action_abi::Range {
        as_abi(STACK)
    }

    /// The heap.
    #[must_use]
    pub fn heap_range(&self, heap_len: u64) -> action_abi::Range {
        action_abi::Range { address: HEAP_START, len: heap_len }
    }

    /// Makes the level-4 slot of the kernel refer to the calling core's entry tables.
    pub fn set_kernel_entry(&mut self, entry: KernelEntry) {
        // Not counted among the root's slots: it is far from the others, and cleared by itself.
        // SAFETY: the root is this address space's own table.
        unsafe { Table::at(self.root_table()) }.set(KERNEL_SLOT, Entry(entry.0));
        self.enterable = true;
    }

    fn root_table(&self) -> FrameNumber {
        self.tables[0].0.number()
    }

    /// Writes an entry of one of this address space's own tables.
    fn set_own(&mut self, table: FrameNumber, slot: usize, entry: Entry) {
        // Tables that were made last are used most.
        let own = self.tables.iter_mut().rev().find(|(frame, _)| frame.number() == table);
        let (_, slots) = own.expect("only own tables are written");
        slots.include(slot);
        // SAFETY: the table is this address space's own.
        let table = unsafe { Table::at(table) };
        // Entries that are not present are never remembered (Intel SDM vol. 3A, 4.10.2.3).
        self.stale |= table.get(slot).is_present();
        table.set(slot, entry);
    }

    /// Whether an entry that was present has changed since this was asked last, or it was never
    /// asked: the processor must then forget what it knows of this address space.
    pub fn take_stale(&mut self) -> bool {
        core::mem::take(&mut self.stale)
    }

    /// Physical address of the root table, for the processor.
    ///
    /// # Panics
    /// Before [`Self::set_kernel_entry`]: a processor on these tables would find no kernel.
    #[must_use]
    pub fn root(&self) -> u64 {
        assert!(self.enterable, "tables that are entered have the kernel's entry");
        self.tables[0].0.physical()
    }

    /// Frames still free under the memory limit.
    #[must_use]
    pub fn frames_left(&self) -> usize {
        self.reservation.remaining()
    }

    /// Provides the page at `address` for an access, if the address space allows it.
    ///
    /// # Errors
    /// Why not; nothing changed then but tables that may have been made.
    pub fn resolve(&mut self, address: u64, access: Access) -> Result<(), Refusal> {
        self.page_for(address, access).map(|_| ())
    }

    /// The frame behind `address` after providing it for `access`.
    fn page_for(&mut self, address: u64, access: Access) -> Result<FrameNumber, Refusal> {
        if (WINDOWS_START..STACK.start).contains(&address) {
            return Err(Refusal::StackOverflow);
        }
        let region = self.regions.find(address).ok_or(Refusal::NotAllowed)?;
        let (protection, backing) = (region.protection, region.backing);
        let allowed = match access {
            Access::Read => true,
            Access::Write => protection == Protection::ReadWrite,
            Access::Execute => protection == Protection::ReadExecute,
        };
        if !allowed {
            return Err(Refusal::NotAllowed);
        }
        // SAFETY: `root` and everything below it live as long as `self`.
        let entry = unsafe { leaf(self.root_table(), address) };
        let copy_needed = access == Access::Write && !entry.is_writable();
        let present = match entry.frame() {
            Some(frame) if !copy_needed => return Ok(frame),
            present => present,
        };
        assert!(backing != Backing::Placed, "placed pages are present and read-only");
        self.faults += 1;
        let frame = match present {
            // SAFETY: the source is the template's, which is immutable and outlives this space.
            Some(source) => self.reservation.take_copy(&unsafe { Frame::borrow(source) })?,
            None => self.reservation.take()?,
        };
        let number = frame.number();
        let page = address / PAGE * PAGE;
        self.own_page(page, frame, Entry::owned_page(number, protection))?;
        if let Some(region) = self.regions.find(page) {
            region.touch(PageRange { start: page, end: page + PAGE });
        }
        Ok(number)
    }

    /// Enters a frame this address space owns from now on.
    fn own_page(&mut self, page: u64, frame: Frame, entry: Entry) -> Result<(), Refusal> {
        self.set_leaf(page, entry)?;
        let _owned_by_the_entry = frame.into_raw();
        Ok(())
    }

    /// Writes the leaf entry of `page`, making private every table on the way.
    fn set_leaf(&mut self, page: u64, entry: Entry) -> Result<(), Refusal> {
        let mut frame = self.root_table();
        for level in (2..=4).rev() {
            // SAFETY: `frame` is the root or a table made private below; both are owned.
            let table = unsafe { Table::at(frame) };
            let slot = index(page, level);
            let below = table.get(slot);
            frame = match below.frame() {
                Some(next) if !below.is_borrowed() => next,
                borrowed => {
                    let new = self.reservation.take()?;
                    let number = new.number();
                    let mut slots = Slots::NONE;
                    if let Some(original) = borrowed {
                        slots = self.template.slots(original);
                        // SAFETY: the new frame is owned; the original is the template's, alive.
                        unsafe { Table::at(number).copy_from(Table::at(original), slots) };
                    }
                    self.set_own(frame, slot, Entry::owned_table(number));
                    self.tables.push((new, slots));
                    number
                }
            };
        }
        self.set_own(frame, index(page, 1), entry);
        Ok(())
    }

    /// Passes the bytes of `address..address + len` to `sink`, piece by piece.
    ///
    /// # Errors
    /// [`Refusal`] at the first page the action itself could not read; earlier pieces were passed.
    pub fn read(
        &mut self,
        address: u64,
        len: u64,
        mut sink: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let end = address.checked_add(len).ok_or(Refusal::NotAllowed)?;
        let mut next = address;
        while next < end {
            let frame = self.page_for(next, Access::Read)?;
            speculation_barrier();
            let offset = (next % PAGE) as usize;
            let count = (PAGE - next % PAGE).min(end - next);
            // SAFETY: the frame is mapped in this space, so it is alive while `self` is; the action
            // that could write to it does not run while the kernel of its core does.
            let page = unsafe { Frame::borrow(frame) };
            sink(&page.bytes()[offset..offset + count as usize])?;
            next += count;
        }
        Ok(())
    }

    /// Copies `len` bytes from one of the action's addresses to another, low addresses first.
    ///
    /// # Errors
    /// [`Refusal`] at the first page the action itself could not read or write; what lies below was
    /// copied.
    pub fn copy_within(&mut self, from: u64, to: u64, len: u64) -> Result<(), Refusal> {
        let end = from.checked_add(len).ok_or(Refusal::NotAllowed)?;
        let mut next = from;
        while next < end {
            let target = to + (next - from);
            let source_frame = self.page_for(next, Access::Read)?;
            let target_frame = self.page_for(target, Access::Write)?;
            speculation_barrier();
            let count = (PAGE - next % PAGE).min(PAGE - target % PAGE).min(end - next);
            // The target may have been the source's page, and a copy made of it; look again.
            let source_frame =
                if target / PAGE == next / PAGE { target_frame } else { source_frame };
            // SAFETY: both frames are mapped in this space and alive; the target is its own, since
            // the action may write to it. They may be the same frame, so the copy allows overlap.
            unsafe {
                frame_pointer(target_frame).add((target % PAGE) as usize).copy_from(
                    frame_pointer(source_frame).add((next % PAGE) as usize),
                    count as usize,
                );
            }
            next += count;
        }
        Ok(())
    }

    /// Maps `len` bytes of zeroed memory, rounded up to pages; returns the address.
    ///
    /// # Errors
    /// [`Refusal`] if the limit cannot cover it or the range is absurd.
    pub fn map(&mut self, len: u64, protection: Protection) -> Result<u64, Refusal> {
        let len = len.checked_next_multiple_of(PAGE).filter(|len| *len > 0);
        let len = len.ok_or(Refusal::BadRange)?;
        if len / PAGE > self.reservation.remaining() as u64 {
            return Err(Refusal::OutOfMemory);
        }
        let start = self.mapped_end;
        // A guard page keeps neighbours apart.
        let end = start.checked_add(len).filter(|end| *end + PAGE <= USER_END);
        let range = PageRange { start, end: end.ok_or(Refusal::OutOfMemory)? };
        let region = Region::new(range, protection, Backing::Mapped);
        self.regions.insert(region).map_err(|_| Refusal::TooManyRegions)?;
        self.mapped_end = range.end + PAGE;
        Ok(start)
    }

    /// Removes whole pages that [`Self::map`] made.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if they are not such pages.
    pub fn unmap(&mut self, address: u64, len: u64) -> Result<(), Refusal> {
        let range = self.mapped_range(address, len)?;
        self.regions.carve(range, None).map_err(|_| Refusal::TooManyRegions)?;
        self.for_owned_leaves(range, |table, slot, entry| {
            table.set(slot, Entry::EMPTY);
            entry.frame()
        });
        Ok(())
    }

    /// Changes the protection of whole pages that [`Self::map`] made.
    ///
    /// # Errors
    /// [`Refusal::BadRange`] if they are not such pages.
    pub fn protect(&mut self, address: u64, len: u64, to: Protection) -> Result<(), Refusal> {
        let range = self.mapped_range(address, len)?;
        self.regions.carve(range, Some(to)).map_err(|_| Refusal::TooManyRegions)?;
        self.for_owned_leaves(range, |table, slot, entry| {
            table.set(slot, entry.with_protection(to));
            None
        });
        Ok(())
    }

    fn mapped_range(&self, address: u64, len: u64) -> Result<PageRange, Refusal> {
        let end = len.checked_next_multiple_of(PAGE).and_then(|len| address.checked_add(len));
        let range = PageRange { start: address, end: end.ok_or(Refusal::BadRange)? };
        let aligned = address.is_multiple_of(PAGE) && range.start < range.end;
        if aligned && self.regions.covers_mapped(range) {
            Ok(range)
        } else {
            Err(Refusal::BadRange)
        }
    }

    /// Calls `change` for every leaf in `range` whose page this address space owns. A frame it
    /// returns is no longer referred to and goes back to the reservation.
    fn for_owned_leaves(
        &mut self,
        range: PageRange,
        mut change: impl FnMut(&Table, usize, Entry) -> Option<FrameNumber>,
    ) {
        self.stale = true;
        let mut page = range.start;
        while page < range.end {
            let Some(table) = self.leaf_table(page) else {
                // No table: nothing in this block was touched.
                page = (page + 1).next_multiple_of(PAGE << 9);
                continue;
            };
            let slot = index(page, 1);
            let entry = table.get(slot);
            if entry.is_present()
                && !entry.is_borrowed()
                && let Some(frame) = change(table, slot, entry)
            {
                // SAFETY: the entry owned the frame (`own_page`), and `change` removed the entry.
                self.reservation.put(unsafe { Frame::from_raw(frame) });
            }
            page += PAGE;
        }
    }

    /// The owned level-1 table for `page`, if there is one.
    fn leaf_table<'a>(&self, page: u64) -> Option<&'a Table> {
        let mut frame = self.root_table();
        for level in (2..=4).rev() {
            // SAFETY: `frame` is the root or an owned table; both live as long as `self`.
            let entry = unsafe { Table::at(frame) }.get(index(page, level));
            frame = entry.frame().filter(|_| !entry.is_borrowed())?;
        }
        // SAFETY: as above; callers use the table while they hold `self`.
        Some(unsafe { Table::at(frame) })
    }

    /// Takes the first `len` bytes of the output window out of the address space.
    ///
    /// # Errors
    /// [`Refusal::NotAllowed`] if the window is shorter; [`Refusal::OutOfMemory`] if pages the
    /// action never touched cannot be provided.
    pub fn take_output(&mut self, len: u64) -> Result<PageBuffer, Refusal> {
        if len > self.output.end - self.output.start {
            return Err(Refusal::NotAllowed);
        }
        let mut pages = Vec::new();
        let count = len.div_ceil(PAGE);
        pages.try_reserve_exact(count as usize).map_err(|_| Refusal::OutOfMemory)?;
        for page in 0..count {
            let address = self.output.start + page * PAGE;
            let number = self.page_for(address, Access::Write)?;
            self.set_leaf(address, Entry::EMPTY)?;
            // SAFETY: the window is demand-zero, so the entry just removed owned the frame.
            pages.push(unsafe { Frame::from_raw(number) });
        }
        Ok(PageBuffer::from_pages(pages, len as usize))
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let regions = core::mem::replace(&mut self.regions, Regions::empty());
        for region in regions.iter() {
            self.for_owned_leaves(region.touched, |table, slot, entry| {
                table.set(slot, Entry::EMPTY);
                entry.frame()
            });
        }
        // SAFETY: as in `set_kernel_entry`.
        unsafe { Table::at(self.root_table()) }.set(KERNEL_SLOT, Entry::EMPTY);
        for (table, slots) in self.tables.drain(..) {
            // SAFETY: a table is zero where no entry was ever written, and those are cleared here.
            unsafe {
                Table::at(table.number()).clear(slots);
                table.give_back_zeroed();
            }
        }
    }
}

/// The level-4 entry behind which a core's entry code and entry area are mapped for actions.
#[derive(Clone, Copy, Debug)]
pub struct KernelEntry(u64);

impl KernelEntry {
    /// Wraps a supervisor-only entry that refers to a level-3 table.
    #[cfg(target_os = "none")]
    pub(super) fn new(level_3: FrameNumber) -> Self {
        Self(Entry::supervisor_table(level_3).0)
    }

    /// The entry as a word, to be kept in a core's page.
    #[cfg(target_os = "none")]
    #[must_use]
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The entry back from a word that [`Self::raw`] gave.
    ///
    /// # Safety
    /// `raw` came from [`Self::raw`] of the calling core's entry.
    #[cfg(target_os = "none")]
    pub(crate) unsafe fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

fn as_abi(range: PageRange) -> action_abi::Range {
    action_abi::Range { address: range.start, len: range.end - range.start }
}
