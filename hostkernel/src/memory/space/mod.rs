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

mod maps;
mod tables;

use alloc::sync::Arc;
use alloc::vec::Vec;

use tables::{OwnTable, OwnTables};

use super::buffer::PageBuffer;
use super::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use super::likely::{LikelyPage, Touched};
use super::physical::{frame_pointer, speculation_barrier};
use super::regions::{Backing, Region, Regions};
use super::table::Entry;
use super::template::{PageRange, Template};
use crate::config::{ACTION_STACK_LEN, ENVIRONMENT_LEN_MAX, OUTPUT_LEN_MAX, PAGE_LEN};
use crate::dispatch::Access;
use crate::image::Protection;

const PAGE: u64 = PAGE_LEN as u64;
const WINDOWS_START: u64 = action_abi::IMAGE_END;
const STACK: PageRange =
    PageRange { start: WINDOWS_START + PAGE, end: WINDOWS_START + ACTION_STACK_LEN as u64 };
const CONTEXT: PageRange = PageRange {
    start: STACK.end + PAGE,
    end: STACK.end
        + PAGE
        + (size_of::<action_abi::Context>() + ENVIRONMENT_LEN_MAX + DEADLINE_LEN_MAX)
            .next_multiple_of(PAGE_LEN) as u64,
};
/// What the worker adds to the environment: `__OW_DEADLINE=` and a number.
const DEADLINE_LEN_MAX: usize = 64;
const INPUT_START: u64 = STACK.end + 16 * PAGE;
const HEAP_START: u64 = WINDOWS_START + (16 << 20);
const MAPPED_START: u64 = WINDOWS_START + (2 << 30);
/// No page at or above this address is ever mapped for an action.
pub const USER_END: u64 = 0x100_0000_0000;
/// The level-4 slot that holds the kernel's entry code and the core's entry area.
const KERNEL_SLOT: usize = 511;

const _: () = assert!(CONTEXT.end < INPUT_START);
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
    tables: OwnTables,
    regions: Regions,
    reservation: Reservation,
    // Borrowed entries point into these two; they must outlive the tables.
    template: Arc<Template>,
    input: PageBuffer,
    output: PageRange,
    mapped_end: u64,
    enterable: bool,
    /// Pages that were provided when they were touched, and how often that happened.
    touched: Touched,
}

/// What a core keeps from one instance to the next: memory for lists, and the tables that all
/// instances have, without anything in them.
#[derive(Debug, Default)]
pub struct Lists {
    tables: Vec<OwnTable>,
    regions: Vec<Region>,
}

impl Lists {
    /// Frames that the next instance need not take from its reservation.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.tables.len()
    }
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
        reservation: Reservation,
    ) -> Result<Self, Refusal> {
        let mut space = Self::empty(template, input, reservation, Lists::default());
        space.lay_out(heap_len)?;
        Ok(space)
    }

    /// An address space with nothing in it, to be completed by [`Self::lay_out`]; `lists` are those
    /// that [`Self::end`] of the one before gave back.
    #[must_use]
    pub fn empty(
        template: Arc<Template>,
        input: PageBuffer,
        reservation: Reservation,
        lists: Lists,
    ) -> Self {
        let input_len = (input.len() as u64).next_multiple_of(PAGE);
        let output_start = INPUT_START + input_len + PAGE;
        let output = PageRange { start: output_start, end: output_start + OUTPUT_LEN_MAX as u64 };
        assert!(output.end <= HEAP_START, "input and output fit below the heap");
        Self {
            tables: OwnTables::new(lists.tables),
            regions: Regions::new(lists.regions),
            reservation,
            template,
            input,
            output,
            mapped_end: MAPPED_START,
            enterable: false,
            touched: Touched::default(),
        }
    }

    /// Enters all regions, and the pages that are there from the start. To be called once.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn lay_out(&mut self, heap_len: u64) -> Result<(), Refusal> {
        self.tables.make_windows(&mut self.reservation)?;
        self.tables.borrow_image(self.template.table());
        let heap_end = HEAP_START + heap_len.next_multiple_of(PAGE);
        let input_end = INPUT_START + (self.input.len() as u64).next_multiple_of(PAGE);
        let input_range = PageRange { start: INPUT_START, end: input_end };
        let windows = [
            (STACK, Protection::ReadWrite, Backing::Stack),
            (CONTEXT, Protection::Read, Backing::Placed),
            (input_range, Protection::Read, Backing::Placed),
            (self.output, Protection::ReadWrite, Backing::Zero),
            (PageRange { start: HEAP_START, end: heap_end }, Protection::ReadWrite, Backing::Zero),
        ];
        self.regions.start(self.template.regions(), windows);
        self.place_input()?;
        self.provide_likely_pages();
        Ok(())
    }

    fn place_input(&mut self) -> Result<(), Refusal> {
        let Self { tables, reservation, template, input, .. } = self;
        for (page, frame) in (INPUT_START..).step_by(PAGE_LEN).zip(input.pages()) {
            let entry = Entry::borrowed_page(frame.number(), Protection::Read);
            tables.set_leaf(page, entry, reservation, template)?;
        }
        Ok(())
    }

    /// Provides the pages that earlier instances of the template touched, instead of waiting for as
    /// many page faults. What cannot be provided is no worse off than without.
    fn provide_likely_pages(&mut self) {
        let template = Arc::clone(&self.template);
        template.likely_pages(|page| {
            let access = if page.written { Access::Write } else { Access::Read };
            let _ = self.page_for(page.address, access);
        });
        self.touched = Touched::default();
    }

    /// Maps the context structure and, right behind it, the environment, read-only.
    ///
    /// # Errors
    /// [`Refusal::OutOfMemory`] if the reservation does not cover them.
    pub fn place_context(&mut self, context: &[u8], environment: &[u8]) -> Result<(), Refusal> {
        let len = context.len() + environment.len();
        assert!(len as u64 <= CONTEXT.end - CONTEXT.start, "the context is bounded");
        let (mut context, mut environment) = (context, environment);
        for page in (CONTEXT.start..CONTEXT.start + len as u64).step_by(PAGE_LEN) {
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
        CONTEXT.start
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
        self.tables.set_kernel_slot(Entry(entry.0));
        self.enterable = true;
    }

    /// Whether an entry that was present has changed since this was asked last, or it was never
    /// asked: the processor must then forget what it knows of this address space.
    pub fn take_stale(&mut self) -> bool {
        self.tables.take_stale()
    }

    /// Physical address of the root table, for the processor.
    ///
    /// # Panics
    /// Before [`Self::set_kernel_entry`]: a processor on these tables would find no kernel.
    #[must_use]
    pub fn root(&self) -> u64 {
        assert!(self.enterable, "tables that are entered have the kernel's entry");
        self.tables.root().physical()
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
        let Region { protection, backing, .. } =
            *self.regions.find(address).ok_or(Refusal::NotAllowed)?;
        let allowed = match access {
            Access::Read => true,
            Access::Write => protection == Protection::ReadWrite,
            Access::Execute => protection == Protection::ReadExecute,
        };
        if !allowed {
            return Err(Refusal::NotAllowed);
        }
        let page = address / PAGE * PAGE;
        let entry = self.tables.leaf(page);
        let copy_needed = access == Access::Write && !entry.is_writable();
        let present = match entry.frame() {
            Some(frame) if !copy_needed => return Ok(frame),
            present => present,
        };
        if backing == Backing::Placed {
            return Err(Refusal::NotAllowed);
        }
        let frame = match present {
            // SAFETY: the source is the template's, which is immutable and outlives this space.
            Some(source) => self.reservation.take_copy(&unsafe { Frame::borrow(source) })?,
            None => self.reservation.take()?,
        };
        let number = frame.number();
        self.own_page(page, frame, Entry::owned_page(number, protection))?;
        self.touched.record(LikelyPage { address: page, written: access == Access::Write });
        Ok(number)
    }

    /// Enters a frame this address space owns from now on.
    fn own_page(&mut self, page: u64, frame: Frame, entry: Entry) -> Result<(), Refusal> {
        let Self { tables, reservation, template, .. } = self;
        tables.set_leaf(page, entry, reservation, template)?;
        let _owned_by_the_entry = frame.into_raw();
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
            let Self { tables, reservation, template, .. } = self;
            tables.set_leaf(address, Entry::EMPTY, reservation, template)?;
            // SAFETY: the window is demand-zero, so the entry just removed owned the frame.
            pages.push(unsafe { Frame::from_raw(number) });
        }
        Ok(PageBuffer::from_pages(pages, len as usize))
    }

    /// Page faults resolved.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.touched.count
    }

    /// Ends the instance: gives back its memory, tells its template what it touched, and hands out
    /// what the next one can use again. Nothing is mapped any more then.
    #[must_use]
    pub fn end(&mut self) -> Lists {
        self.template.learn(self.touched.first());
        self.enterable = false;
        let tables = self.tables.keep_skeleton(&mut self.reservation);
        Lists { tables, regions: self.regions.take_list() }
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        self.tables.clear(&mut self.reservation);
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
