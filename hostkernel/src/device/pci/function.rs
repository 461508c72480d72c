//! A PCI function: its place, its registers, its capabilities and base addresses.
//!
//! What a function says is bounded here: lists of capabilities that go in circles end, and a base
//! address that cannot be one is none.
#![forbid(unsafe_code)]

use core::fmt;

use crate::platform::pci::Address;
use limits::PCI_CAPABILITIES_MAX;

// Registers of configuration space (PCI 3.0, 6.1).
const ID: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const HEADER: u8 = 0x0c;
const BAR_0: u8 = 0x10;
const BUS_NUMBERS: u8 = 0x18;
const CAPABILITIES: u8 = 0x34;

const COMMAND_MEMORY: u32 = 1 << 1;
const COMMAND_MASTER: u32 = 1 << 2;
const COMMAND_NO_LINE: u32 = 1 << 10;
/// The lower half of the register: ones in the upper half, the status, would clear it.
const COMMAND_BITS: u32 = 0xffff;
const STATUS_CAPABILITIES: u32 = 1 << 20;
const HEADER_MANY: u32 = 1 << 23;
const HEADER_KIND: u32 = 0x7f << 16;
const HEADER_DEVICE: u32 = 0;
const HEADER_BRIDGE: u32 = 1 << 16;
/// Capabilities lie behind the header.
const CAPABILITY_MIN: u8 = 0x40;

/// Base address registers (PCI 3.0, 6.2.5.1): what they hold, and how a memory one looks.
pub const BARS: u8 = 6;
const BAR_IS_PORT: u32 = 1 << 0;
const BAR_KIND: u32 = 3 << 1;
const BAR_32: u32 = 0 << 1;
const BAR_64: u32 = 2 << 1;
const BAR_ADDRESS: u32 = !0xf;

const CAPABILITY_EXPRESS: u8 = 0x10;
/// Ports of PCI Express (PCI Express 3.0, 7.8.2) that have a link with one device at its end.
const EXPRESS_ROOT_PORT: u32 = 4;
const EXPRESS_DOWNSTREAM_PORT: u32 = 6;

/// Configuration space, however it is reached.
pub trait Space {
    /// Reads the aligned word at this register; all ones where nobody answers.
    fn read(&self, at: Address, register: u8) -> u32;

    /// Writes it.
    fn write(&self, at: Address, register: u8, value: u32);
}

/// A function that is there, and what it says it is.
#[derive(Clone, Copy)]
pub struct Function<'s> {
    space: &'s dyn Space,
    /// Where it is.
    pub at: Address,
    /// Who made it.
    pub vendor: u16,
    /// Which of its maker's it is.
    pub device: u16,
    /// Class of devices.
    pub class: u8,
    header: u32,
}

/// A base address register of a memory range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBar {
    /// Where the range is; 0 if nobody has said so.
    pub address: u64,
    /// It is two registers long.
    pub is_wide: bool,
}

impl<'s> Function<'s> {
    /// The function at this place, if there is one.
    pub fn find(space: &'s dyn Space, at: Address) -> Option<Self> {
        let id = space.read(at, ID);
        let (vendor, device) = (id as u16, (id >> 16) as u16);
        // Some bridges give zeros for what is not there.
        if vendor == u16::MAX || vendor == 0 {
            return None;
        }
        let class = (space.read(at, CLASS) >> 24) as u8;
        Some(Self { space, at, vendor, device, class, header: space.read(at, HEADER) })
    }

    /// Whether its device has other functions beside function 0.
    pub fn has_others(&self) -> bool {
        self.header & HEADER_MANY != 0
    }

    /// Whether it is a device, and not a bridge, so that it has six base address registers.
    pub fn is_device(&self) -> bool {
        self.header & HEADER_KIND == HEADER_DEVICE
    }

    /// The bus behind it, if it is a bridge to one that firmware has numbered.
    pub fn secondary_bus(&self) -> Option<u8> {
        let is_bridge = self.header & HEADER_KIND == HEADER_BRIDGE;
        let bus = (is_bridge.then(|| self.read(BUS_NUMBERS))? >> 8) as u8;
        (bus != 0).then_some(bus)
    }

    /// Whether only one device can be on the bus behind it.
    pub fn is_link(&self) -> bool {
        self.capabilities(CAPABILITY_EXPRESS).next().is_some_and(|start| {
            let kind = self.read(start) >> 20 & 0xf;
            kind == EXPRESS_ROOT_PORT || kind == EXPRESS_DOWNSTREAM_PORT
        })
    }

    /// Reads one of its registers.
    pub fn read(&self, register: u8) -> u32 {
        self.space.read(self.at, register)
    }

    /// Writes one of its registers.
    pub fn write(&self, register: u8, value: u32) {
        self.space.write(self.at, register, value);
    }

    /// Where its capabilities of a kind are, in the order of its list.
    pub fn capabilities(&self, id: u8) -> impl Iterator<Item = u8> {
        let mut next = match self.read(COMMAND) & STATUS_CAPABILITIES {
            0 => 0,
            _ => self.read(CAPABILITIES) as u8 & !3,
        };
        let all = (0..PCI_CAPABILITIES_MAX).map_while(move |_| {
            let start = next;
            if start < CAPABILITY_MIN {
                return None;
            }
            let header = self.read(start);
            next = (header >> 8) as u8 & !3;
            Some((header as u8, start))
        });
        all.filter(move |(found, _)| *found == id).map(|(_, start)| start)
    }

    /// Lets it access memory, be accessed, and use its interrupt line.
    pub fn enable(&self) {
        let command = self.read(COMMAND) & COMMAND_BITS;
        let wanted = (command | COMMAND_MASTER | COMMAND_MEMORY) & !COMMAND_NO_LINE;
        self.write(COMMAND, wanted);
    }

    /// One of its base address registers, if that is one of a memory range.
    pub fn memory_bar(&self, bar: u8) -> Option<MemoryBar> {
        if bar >= BARS || !self.is_device() {
            return None;
        }
        let low = self.read(BAR_0 + 4 * bar);
        let high = match low & (BAR_IS_PORT | BAR_KIND) {
            BAR_64 if bar + 1 < BARS => Some(self.read(BAR_0 + 4 * (bar + 1))),
            BAR_32 => None,
            _ => return None,
        };
        let address = u64::from(high.unwrap_or(0)) << 32 | u64::from(low & BAR_ADDRESS);
        Some(MemoryBar { address, is_wide: high.is_some() })
    }

    /// Physical address of a memory range, which firmware has set.
    pub fn bar_address(&self, bar: u8) -> Option<u64> {
        self.memory_bar(bar).map(|bar| bar.address).filter(|address| *address != 0)
    }

    /// Length of a memory range, 0 for a register that is none. To ask means to write to the
    /// register and back, while the function does not listen; and that makes an emulator lay out
    /// its memory anew, twice.
    pub fn bar_len(&self, bar: u8) -> u64 {
        let Some(MemoryBar { address, is_wide }) = self.memory_bar(bar) else { return 0 };
        let command = self.read(COMMAND) & COMMAND_BITS;
        self.write(COMMAND, command & !COMMAND_MEMORY);
        self.write_bar(bar, u64::MAX, is_wide);
        let low = self.read(BAR_0 + 4 * bar) & BAR_ADDRESS;
        let high = if is_wide { self.read(BAR_0 + 4 * (bar + 1)) } else { u32::MAX };
        self.write_bar(bar, address, is_wide);
        self.write(COMMAND, command);
        if low == 0 && (!is_wide || high == 0) {
            return 0;
        }
        (!(u64::from(high) << 32 | u64::from(low))).wrapping_add(1)
    }

    /// Sets a memory range's address.
    pub fn set_bar(&self, bar: u8, address: u64) {
        if let Some(MemoryBar { is_wide, .. }) = self.memory_bar(bar) {
            self.write_bar(bar, address, is_wide);
        }
    }

    fn write_bar(&self, bar: u8, value: u64, is_wide: bool) {
        self.write(BAR_0 + 4 * bar, value as u32);
        if is_wide {
            self.write(BAR_0 + 4 * (bar + 1), (value >> 32) as u32);
        }
    }
}

impl fmt::Display for Function<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x} at {}", self.vendor, self.device, self.at)
    }
}
