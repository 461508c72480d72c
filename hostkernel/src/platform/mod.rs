//! What the machine is, as its firmware's tables say: pure functions over bytes, tested on the host
//! with tables as real boards have them.
//!
//! [`crate::boot::acpi`] finds the tables and shows their bytes; drivers act on what is read here.
//! Every field is bounded by the table it is in, see [`table`].
#![forbid(unsafe_code)]

pub mod aml;
pub mod date;
pub mod fadt;
pub mod madt;
pub mod pci;
pub mod starting;
pub mod table;
pub mod watch;

use alloc::vec::Vec;
use core::ops::Range;

use self::madt::Override;
use self::pci::Ecam;

/// The machine as ACPI describes it.
#[derive(Debug, Default)]
pub struct Platform {
    /// APIC ids of usable processors, in table order, each once.
    pub processors: Vec<u32>,
    /// I/O APICs: address and first line.
    pub ioapics: Vec<(u32, u32)>,
    /// Interrupt lines that differ from what their bus has as a rule.
    pub overrides: Vec<Override>,
    /// Port of the power-management timer.
    pub timer_port: Option<u16>,
    /// Register of the battery-backed clock that holds the century.
    pub century: Option<u8>,
    /// Power control.
    pub power: Power,
    /// Virtio transports in memory, named in AML or on the command line, with their line.
    pub virtio: Vec<(u64, InterruptLine)>,
    /// Where configuration space of PCI is in memory.
    pub ecam: Vec<Ecam>,
    /// Ranges in which PCI functions can have their registers, named in AML.
    pub windows: Vec<Range<u64>>,
}

/// How to switch the machine off, reset it, and hear its power button.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// PM1a and PM1b status registers; the enable register lies `event_len / 2` behind.
    pub events: [Option<Register>; 2],
    /// Length of an event block in bytes.
    pub event_len: u64,
    /// Registers of general-purpose events, and their length in bytes: the first half status, the
    /// second what may interrupt.
    pub general_events: [Option<(Register, u64)>; 2],
    /// PM1a and PM1b control registers.
    pub controls: [Option<Register>; 2],
    /// Sleep control register of hardware-reduced machines.
    pub sleep_control: Option<Register>,
    /// Sleep types of soft-off for PM1a and PM1b.
    pub soft_off: Option<(u8, u8)>,
    /// Register and value that reset the machine.
    pub reset: Option<(Register, u8)>,
    /// The system control interrupt, or that of a generic event device.
    pub line: Option<InterruptLine>,
    /// Event register of a generic event device, which reports the button on reduced machines.
    pub event_device: Option<Register>,
    /// Port and value that make the firmware hand over ACPI control.
    pub handover: Option<(u16, u8)>,
}

/// A device register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// An I/O port.
    Port(u16),
    /// A physical address.
    Memory(u64),
}

/// An interrupt line, and how it signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptLine {
    /// Global system interrupt number.
    pub number: u32,
    /// How it signals.
    pub signal: Signal,
}

/// How an interrupt line signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Level-triggered rather than edge-triggered.
    pub level: bool,
    /// Active low rather than high.
    pub low: bool,
}

impl Signal {
    /// PCI's lines, and by ACPI's word the system control interrupt (ACPI 6.5, 5.2.9, `SCI_INT`):
    /// shared, so level-triggered and active low.
    pub const SHARED: Self = Self { level: true, low: true };
    /// Virtio transports in memory that nobody says more about: virtual machine monitors keep their
    /// lines up until they are acknowledged.
    pub const TRANSPORT: Self = Self { level: true, low: false };
}

impl Platform {
    /// The line of an interrupt whose source firmware calls `number`, be that the number a line has
    /// on the old PC's bus or already the global one; it signals as `usual` unless the tables say
    /// otherwise.
    #[must_use]
    pub fn line(&self, number: u32, usual: Signal) -> InterruptLine {
        let by_source = self.overrides.iter().find(|found| u32::from(found.irq) == number);
        let by_line = || self.overrides.iter().find(|found| found.line == number);
        by_source.or_else(by_line).map_or(InterruptLine { number, signal: usual }, |found| {
            InterruptLine {
                number: found.line,
                signal: Signal {
                    level: found.level.unwrap_or(usual.level),
                    low: found.low.unwrap_or(usual.low),
                },
            }
        })
    }
}

#[cfg(test)]
mod tests;
