//! Vectors of interrupts.

/// Vector of the core's own timer.
pub const TIMER: u8 = 0x40;
/// Vector by which cores wake each other.
pub const WAKE: u8 = 0x41;
/// Vector of the network card.
pub const NIC: u8 = 0x42;
/// Vector of ACPI events: the power button.
pub const ACPI: u8 = 0x43;
/// Vectors of devices: [`NIC`] and [`ACPI`].
pub const SOURCES: usize = 2;
/// Vector the APIC delivers when an interrupt went away; it wants no end-of-interrupt.
pub const SPURIOUS: u8 = 0xff;
