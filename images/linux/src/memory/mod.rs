//! The program's memory: its regions, the calls that change them, and checked access to its bytes.

pub mod access;
pub mod calls;
pub mod moves;
pub mod regions;
pub mod values;

use action_abi::CallError;

use crate::Errno;
use crate::native::Native;
use access::Memory;
use regions::{PAGE, Protection, Region, Regions, Source};

/// Lowest address a program may map (`vm.mmap_min_addr`).
pub const ADDRESS_MIN: u64 = 0x1_0000;
/// End of a program's addresses.
pub const ADDRESS_END: u64 = action_abi::host::USER_END;
/// What belongs to the library OS and the kernel's windows, and is no program's to map.
pub const RESERVED: [core::ops::Range<u64>; 2] =
    [0x3000_0000..0x4000_0000, PAYLOAD..action_abi::host::WINDOWS_END];
/// From where on the library OS maps payloads for itself.
pub const PAYLOAD: u64 = 0x40_0000_0000;

/// Where the program's parts lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Mappings are placed below this address.
    pub mmap_top: u64,
    /// Where the memory of `brk` begins.
    pub break_start: u64,
    /// Where it ends now.
    pub break_end: u64,
    /// Where the library OS reads the payload of this stage, and its bytes.
    pub payload: u64,
    /// See there.
    pub payload_len: u64,
}

impl Layout {
    /// The offset in the payload of what the library OS reads at this address, if it can be mapped
    /// from there.
    #[must_use]
    pub fn payload_offset(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.payload)?;
        (offset < self.payload_len && offset.is_multiple_of(PAGE)).then_some(offset)
    }
}

/// The program's address space.
#[derive(Debug)]
pub struct Space {
    /// The book of its regions.
    pub regions: Regions,
    /// Where its parts lie.
    pub layout: Layout,
    /// Its bytes.
    pub memory: Memory,
    /// It shares files.
    pub shares: bool,
}

impl Default for Space {
    fn default() -> Self {
        Self::new()
    }
}

impl Space {
    /// No memory yet.
    #[must_use]
    pub const fn new() -> Self {
        let layout =
            Layout { mmap_top: 0, break_start: 0, break_end: 0, payload: 0, payload_len: 0 };
        Self { regions: Regions::new(), layout, memory: Memory::new(), shares: false }
    }

    /// Takes the payload of a stage: of this one pages can be mapped, of one before no longer.
    pub fn set_payload(&mut self, payload: &'static [u8]) {
        let layout = &mut self.layout;
        (layout.payload, layout.payload_len) = (payload.as_ptr() as u64, payload.len() as u64);
        self.regions.change(0..ADDRESS_END, |region| {
            if let Source::Payload { offset } = region.source {
                region.source = Source::Former { offset };
            }
        });
    }

    /// Maps zeroed pages in place of what is there.
    ///
    /// # Errors
    /// `ENOMEM` if the kernel does not give them.
    pub fn map_zeroed(
        &mut self,
        native: &mut impl Native,
        range: core::ops::Range<u64>,
        protection: Protection,
        source: Source,
    ) -> Result<(), Errno> {
        native.map_at(range.start, range.end - range.start, protection.bits()).map_err(errno)?;
        self.regions.insert(range.start, Region { end: range.end, protection, source });
        Ok(())
    }

    /// Maps pages of the payload in place of what is there.
    ///
    /// # Errors
    /// `ENOMEM` if the kernel does not give them.
    pub fn map_payload(
        &mut self,
        native: &mut impl Native,
        range: core::ops::Range<u64>,
        protection: Protection,
        offset: u64,
    ) -> Result<(), Errno> {
        native
            .map_payload(range.start, range.end - range.start, protection.bits(), offset)
            .map_err(errno)?;
        let source = Source::Payload { offset };
        self.regions.insert(range.start, Region { end: range.end, protection, source });
        Ok(())
    }

    /// Removes what is in the range; parts of it may be free already.
    ///
    /// # Errors
    /// `ENOMEM` if the kernel cannot remember the parts that stay.
    pub fn unmap(
        &mut self,
        native: &mut impl Native,
        range: core::ops::Range<u64>,
    ) -> Result<(), Errno> {
        // Between the program's regions may lie what is not the program's.
        let mut at = range.start;
        while at < range.end
            && let Some(piece) = self.next_piece(at..range.end)
        {
            native.unmap(piece.start, piece.end - piece.start).map_err(errno)?;
            at = piece.end;
        }
        self.regions.remove(range);
        Ok(())
    }

    /// The first pages in the range that the kernel mapped for the program, without a gap.
    fn next_piece(&self, range: core::ops::Range<u64>) -> Option<core::ops::Range<u64>> {
        let own = |(_, region): &(u64, Region)| region.source != Source::Vdso;
        let mut regions = self.regions.within(range).filter(own);
        let (start, first) = regions.next()?;
        let mut end = first.end;
        for (start, region) in regions {
            if start != end {
                break;
            }
            end = region.end;
        }
        Some(start..end)
    }
}

/// Whether a program may map something there.
pub(crate) fn is_free_to_use(start: u64, len: u64) -> bool {
    let Some(end) = start.checked_add(len) else { return false };
    end <= ADDRESS_END && RESERVED.iter().all(|held| end <= held.start || start >= held.end)
}

/// A length rounded up to whole pages, unless it is 0 or too long.
fn pages(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE).filter(|len| *len > 0)
}

/// What Linux says where the kernel refused.
fn errno(error: CallError) -> Errno {
    match error {
        CallError::OutOfMemory | CallError::LimitReached => Errno::ENOMEM,
        CallError::UnknownCall => Errno::ENOSYS,
        CallError::BadAddress | CallError::BadArgument => Errno::EINVAL,
    }
}
