//! The address space of one invocation.
//!
//! Pages appear when they are touched, by the action through [`AddressSpace::resolve`] or by the
//! kernel on its behalf. The kernel never dereferences an address of an action: it walks these
//! tables and reads the frame through the direct map, so there is no fault to recover from.

mod access;
mod advance;
mod freeze;
mod host;
#[cfg(test)]
mod host_tests;
mod layout;
mod maps;
mod own_list;
mod own_table;
mod ranges;
mod tables;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use layout::{CONTEXT, MAPPED_START, PAGE, STACK, WINDOWS_START, Windows};
use tables::{OwnTables, Place};

use super::buffer::PageBuffer;
use super::frames::{Frame, FrameNumber, OutOfFrames, Reservation};
use super::likely::{LikelyPage, Touched};
use super::regions::Regions;
use super::table::Entry;
use super::template::{Backing, Frozen, Template};
use crate::Access;
use crate::Protection;
use crate::plan::PageRange;
use limits::{BODY_MB_DEFAULT, PAGE_LEN, REGIONS_MAX};

pub use layout::USER_END;
pub use tables::Skeleton;

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
    /// Too many templates were made one from the other.
    TooManyStages,
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
    /// What the action mapped.
    regions: Regions,
    reservation: Reservation,
    // Borrowed entries point into these two; they must outlive the tables.
    template: Arc<Template>,
    input: PageBuffer,
    /// The file that a host image was deployed with, the last of them if there were several.
    payload: Option<Arc<PageBuffer>>,
    /// How many there were before it.
    payload_stage: u32,
    windows: Windows,
    is_host: bool,
    mapped_end: u64,
    enterable: bool,
    /// Pages that were provided when they were touched, and how often that happened.
    touched: Touched,
    /// Pages that were provided before.
    likely: u64,
}

impl AddressSpace {
    /// Makes the address space of a new instance of `template`: its image, a stack, `input`, an
    /// output window of the usual length and a heap of `heap_len` bytes. All frames it will ever
    /// own come out of `reservation`.
    ///
    /// # Errors
    /// [`Refusal::OutOfMemory`] if the reservation is too small even for the first tables.
    pub fn new(
        template: Arc<Template>,
        input: PageBuffer,
        heap_len: u64,
        reservation: Reservation,
    ) -> Result<Self, Refusal> {
        let mut space = Self::empty(template, input, reservation, Skeleton::default());
        space.lay_out(heap_len, (BODY_MB_DEFAULT as usize) << 20)?;
        Ok(space)
    }

    /// An address space with nothing in it, to be completed by [`Self::lay_out`]; `skeleton` is
    /// what [`Self::end`] of the one before gave back.
    #[must_use]
    pub fn empty(
        template: Arc<Template>,
        input: PageBuffer,
        reservation: Reservation,
        skeleton: Skeleton,
    ) -> Self {
        let is_host = template.is_host();
        let mut tables = OwnTables::new(skeleton);
        tables.begin(&template);
        let windows =
            if is_host { Windows::for_host(input.len()) } else { Windows::new(input.len()) };
        Self {
            tables,
            regions: Regions::new(REGIONS_MAX),
            reservation,
            template,
            input,
            payload: None,
            payload_stage: 0,
            windows,
            is_host,
            mapped_end: MAPPED_START,
            enterable: false,
            touched: Touched::default(),
            likely: 0,
        }
    }

    /// Enters the pages that are there from the start. To be called once. Takes the lengths of heap
    /// and output window in bytes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn lay_out(&mut self, heap_len: u64, output_len: usize) -> Result<(), Refusal> {
        self.windows.set_lengths(heap_len, output_len);
        if self.is_host {
            self.lay_out_regions()?;
        }
        let Self { tables, reservation, template, input, windows, .. } = self;
        tables.make_skeleton(reservation)?;
        tables.borrow_image(template, reservation);
        for (page, frame) in (windows.input.start..).step_by(PAGE_LEN).zip(input.pages()) {
            let entry = Entry::borrowed_page(frame.number(), Protection::Read);
            tables.set_leaf(tables.place(page), entry, reservation, template)?;
        }
        self.provide_likely();
        // The action itself did not touch these.
        self.likely += core::mem::take(&mut self.touched.count);
        Ok(())
    }

    /// Maps the context structure and, right behind it, the environment in two pieces, read-only.
    ///
    /// # Errors
    /// [`Refusal::OutOfMemory`] if the reservation does not cover them.
    pub fn place_context(
        &mut self,
        context: &[u8],
        environment: &[u8],
        variables: &[u8],
    ) -> Result<(), Refusal> {
        let len = context.len() + environment.len() + variables.len();
        assert!(len as u64 <= CONTEXT.end - CONTEXT.start, "the context is bounded");
        let (mut context, mut environment, mut variables) = (context, environment, variables);
        for page in (CONTEXT.start..CONTEXT.start + len as u64).step_by(PAGE_LEN) {
            let mut frame = self.reservation.take()?;
            let (first, rest) = frame.bytes_mut().split_at_mut(context.len().min(PAGE_LEN));
            first.copy_from_slice(context.split_off(..first.len()).unwrap_or_default());
            let count = environment.len().min(rest.len());
            let (next, rest) = rest.split_at_mut(count);
            next.copy_from_slice(environment.split_off(..count).unwrap_or_default());
            // Most actions have none.
            if !variables.is_empty() {
                let count = variables.len().min(rest.len());
                rest[..count].copy_from_slice(variables.split_off(..count).unwrap_or_default());
            }
            let entry = Entry::owned_page(frame.number(), Protection::Read);
            self.own_page(self.tables.place(page), frame, entry)?;
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
        action_abi::Range { address: self.windows.input.start, len: self.input.len() as u64 }
    }

    /// The output window.
    #[must_use]
    pub fn output_range(&self) -> action_abi::Range {
        as_abi(self.windows.output)
    }

    /// The stack; execution starts with the stack pointer at its end.
    #[must_use]
    pub fn stack_range(&self) -> action_abi::Range {
        as_abi(STACK)
    }

    /// The heap, whose length is the memory limit.
    #[must_use]
    pub fn heap_range(&self) -> action_abi::Range {
        as_abi(self.windows.heap)
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

    /// The fewest there ever were.
    #[must_use]
    pub fn frames_left_min(&self) -> usize {
        self.reservation.remaining_min()
    }

    /// Pages it was given, when they were touched or because they were likely to be.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.likely + self.touched.count
    }

    /// Provides the page at `address` for an access, if the address space allows it.
    ///
    /// # Errors
    /// Why not; nothing changed then but tables that may have been made.
    pub fn resolve(&mut self, address: u64, access: Access) -> Result<(), Refusal> {
        self.page_for(address, access).map(|_| ())
    }

    /// What may be done at an address, and what a page there holds if there is none yet.
    fn find(&self, address: u64) -> Result<(Protection, Backing), Refusal> {
        if self.is_host {
            return self.find_in_host(address);
        }
        let found = if address < WINDOWS_START {
            self.template.find(address)
        } else if address < STACK.start {
            return Err(Refusal::StackOverflow);
        } else if address < MAPPED_START {
            self.windows.find(address)
        } else {
            let region = self.regions.find(address);
            region.and_then(|region| region.protection).map(|it| (it, Backing::Zero))
        };
        found.ok_or(Refusal::NotAllowed)
    }

    /// The frame behind `address` after providing it for `access`.
    fn page_for(&mut self, address: u64, access: Access) -> Result<FrameNumber, Refusal> {
        let (protection, backing) = self.find(address)?;
        let allowed = match access {
            Access::Read => true,
            Access::Write => protection == Protection::ReadWrite,
            Access::Execute => protection == Protection::ReadExecute,
        };
        if !allowed {
            return Err(Refusal::NotAllowed);
        }
        let place = self.tables.place(address / PAGE * PAGE);
        let page_address = place.page;
        let entry = self.tables.leaf(place);
        let present = entry.frame();
        if let Some(frame) = present
            && (access != Access::Write || entry.is_writable())
        {
            return Ok(frame);
        }
        let frame = match (backing, present) {
            (Backing::Placed, _) => return Err(Refusal::NotAllowed),
            // SAFETY: the source is the template's, which is immutable and outlives this space.
            (_, Some(source)) => self.reservation.take_copy(&unsafe { Frame::borrow(source) })?,
            (Backing::Payload(page), None) => {
                let payload = self.payload_at(page.stage).map(PageBuffer::pages);
                let source = payload.and_then(|pages| pages.get(page.page as usize));
                let source = source.ok_or(Refusal::NotAllowed)?.number();
                if access != Access::Write {
                    let entry = Entry::borrowed_page(source, protection);
                    let Self { tables, reservation, template, .. } = self;
                    tables.set_leaf(place, entry, reservation, template)?;
                    self.touched.record(LikelyPage::new(page_address, false));
                    return Ok(source);
                }
                // SAFETY: the source is the payload's, which nobody changes, and which this space
                // keeps.
                self.reservation.take_copy(&unsafe { Frame::borrow(source) })?
            }
            (Backing::Zero | Backing::Image(_), None) => {
                let mut frame = self.reservation.take()?;
                if let Backing::Image(tail) = backing {
                    let start = self.template.tail(tail, page_address);
                    frame.bytes_mut()[..start.len()].copy_from_slice(start);
                }
                frame
            }
        };
        let number = frame.number();
        self.own_page(place, frame, Entry::owned_page(number, protection))?;
        self.touched.record(LikelyPage::new(page_address, access == Access::Write));
        Ok(number)
    }

    /// Enters a frame this address space owns from now on.
    #[inline(always)]
    fn own_page(&mut self, place: Place, frame: Frame, entry: Entry) -> Result<(), Refusal> {
        let Self { tables, reservation, template, .. } = self;
        tables.set_leaf(place, entry, reservation, template)?;
        let _owned_by_the_entry = frame.into_raw();
        Ok(())
    }

    /// Ends the instance: gives back its memory, tells its template what it touched, and hands out
    /// what the next one can use again. Nothing is mapped any more then.
    #[must_use]
    pub fn end(&mut self) -> Skeleton {
        self.learn();
        self.enterable = false;
        let Self { regions, reservation, .. } = self;
        regions.clear(|frame| reservation.put(frame));
        let template = || self.template.frozen().map(Frozen::number);
        self.tables.keep(&mut self.reservation, template)
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let Self { tables, regions, reservation, .. } = self;
        regions.clear(|frame| reservation.put(frame));
        tables.clear(reservation);
    }
}

/// The level-4 entry behind which a core's entry code and entry area are mapped for actions.
#[derive(Clone, Copy, Debug)]
pub struct KernelEntry(u64);

/// The host has no entry code, and nothing to wrap.
#[cfg(target_os = "none")]
impl KernelEntry {
    /// Wraps a supervisor-only entry that refers to a level-3 table.
    pub(super) fn new(level_3: FrameNumber) -> Self {
        Self(Entry::supervisor_table(level_3).0)
    }

    /// The entry as a word, to be kept in a core's page.
    #[must_use]
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The entry back from a word that [`Self::raw`] gave.
    ///
    /// # Safety
    /// `raw` came from [`Self::raw`] of the calling core's entry.
    pub(crate) unsafe fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

fn as_abi(range: PageRange) -> action_abi::Range {
    action_abi::Range { address: range.start, len: range.end - range.start }
}
