//! PCI as firmware describes it. Where its configuration space is in memory is said in a table (PCI
//! Firmware 3.2, 4.1.2: MCFG), or, where a host bridge may come and go, beside it in AML (4.1.3:
//! `_CBA`). QEMU's microvm has the second alone.

use core::fmt;
use core::ops::Range;

use limits::PCI_RANGES_MAX;

use super::table::Table;

/// Signature of the table.
pub const SIGNATURE: &[u8; 4] = b"MCFG";
/// Tables of IOMMUs, and whose each is. Firmware hands them over switched off, as a rule; one that
/// translates keeps cards from their queues, and they may be silent without any other sign.
pub const IOMMUS: [(&[u8; 4], &str); 3] =
    [(b"DMAR", "of Intel"), (b"IVRS", "of AMD"), (b"VIOT", "of virtio")];
const ENTRIES_AT: usize = 44;
const ENTRY_LEN: usize = 16;
/// Configuration space of a bus: 4 KiB for each function.
const BUS_LEN: u64 = 1 << 20;
/// Configuration space of a function.
pub const FUNCTION_LEN: usize = 4096;

/// Where a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Segment group: machines with more than 256 buses have several.
    pub segment: u16,
    /// Bus of the segment.
    pub bus: u8,
    /// Below 32.
    pub device: u8,
    /// Below 8.
    pub function: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segment != 0 {
            write!(f, "{:04x}:", self.segment)?;
        }
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

/// Buses of a segment that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buses {
    /// Segment group.
    pub segment: u16,
    /// First bus.
    pub first: u8,
    /// Last bus.
    pub last: u8,
}

impl Buses {
    /// All that the ports of a PC reach.
    pub const OF_PORTS: Self = Self { segment: 0, first: 0, last: u8::MAX };

    /// Whether a bus is one of them.
    #[must_use]
    pub fn contains(&self, segment: u16, bus: u8) -> bool {
        self.segment == segment && (self.first..=self.last).contains(&bus)
    }

    /// Whether a bus is the first of them.
    #[must_use]
    pub fn begins_with(&self, segment: u16, bus: u8) -> bool {
        self.segment == segment && self.first == bus
    }
}

/// A range of buses whose configuration space is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecam {
    /// Where that of bus 0 would be, also if the range begins behind it.
    base: u64,
    /// The buses.
    pub buses: Buses,
}

impl Ecam {
    /// A range, if it makes sense.
    fn new(base: u64, buses: Buses) -> Option<Self> {
        let fits = base != 0
            && base.is_multiple_of(BUS_LEN)
            && buses.first <= buses.last
            && base.checked_add(256 * BUS_LEN).is_some();
        fits.then_some(Self { base, buses })
    }

    /// Physical addresses of its bytes.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        let bus = |number: u8| self.base + u64::from(number) * BUS_LEN;
        bus(self.buses.first)..bus(self.buses.last) + BUS_LEN
    }

    /// Physical address of a function's configuration space, if it is here.
    #[must_use]
    pub fn of(&self, at: Address) -> Option<u64> {
        let is_here = self.buses.contains(at.segment, at.bus) && at.device < 32 && at.function < 8;
        let number = u64::from(at.bus) << 8 | u64::from(at.device) << 3 | u64::from(at.function);
        is_here.then_some(self.base + number * FUNCTION_LEN as u64)
    }
}

/// The ranges that a table names, as far as they make sense.
pub fn ranges(table: Table<'_>) -> impl Iterator<Item = Ecam> {
    let entries = table.rest(ENTRIES_AT).chunks_exact(ENTRY_LEN);
    entries.take(PCI_RANGES_MAX).filter_map(|entry| {
        let (base, rest) = entry.split_first_chunk()?;
        let &[a, b, first, last, ..] = rest else { return None };
        let buses = Buses { segment: u16::from_le_bytes([a, b]), first, last };
        Ecam::new(u64::from_le_bytes(*base), buses)
    })
}

/// What `_CBA` returns where it is a constant: `Name (_CBA, n)`, or a method that is one `Return`.
/// Its buses are taken to be all of the first segment.
pub fn named(byte_code: &[u8]) -> Option<Ecam> {
    const NAME: &[u8] = b"_CBA";
    const RETURN: [u8; 2] = [0x00, 0xa4];
    let at = byte_code.windows(NAME.len()).position(|window| window == NAME)?;
    let value = &byte_code[at + NAME.len()..];
    let base = match value.strip_prefix(&RETURN).unwrap_or(value) {
        [0x0c, rest @ ..] => u64::from(u32::from_le_bytes(*rest.first_chunk()?)),
        [0x0e, rest @ ..] => u64::from_le_bytes(*rest.first_chunk()?),
        _ => return None,
    };
    Ecam::new(base, Buses::OF_PORTS)
}

/// `DWordMemory` of AML (ACPI 6.5, 6.4.3.5.2): tag and length, and where its fields are.
const DWORD_RANGE: [u8; 3] = [0x87, 0x17, 0x00];
const DWORD_RANGE_LEN: usize = 26;
const KIND: usize = 3;
const KIND_MEMORY: u8 = 0;
/// Both ends are fixed, and it is handed on to what is behind.
const FLAGS: usize = 4;
const FLAGS_MASK: u8 = 0b1101;
const FLAGS_WINDOW: u8 = 0b1100;
const FIRST: usize = 10;
const LAST: usize = 14;
/// Below are the screen of a PC and its BIOS.
const WINDOW_START_MIN: u64 = 1 << 20;

/// Ranges that a host bridge hands on to its functions, by what is written in AML where it is a
/// constant in its simplest encoding.
pub fn windows(byte_code: &[u8]) -> impl Iterator<Item = Range<u64>> {
    let found = byte_code.windows(DWORD_RANGE_LEN).filter(|bytes| {
        bytes.starts_with(&DWORD_RANGE)
            && bytes[KIND] == KIND_MEMORY
            && bytes[FLAGS] & FLAGS_MASK == FLAGS_WINDOW
    });
    found.filter_map(|bytes| {
        let word = |at: usize| {
            let bytes = bytes.get(at..)?.first_chunk()?;
            Some(u64::from(u32::from_le_bytes(*bytes)))
        };
        let window = word(FIRST)?..word(LAST)? + 1;
        (window.start >= WINDOW_START_MIN && window.start < window.end).then_some(window)
    })
}
