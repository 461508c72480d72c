//! Interrupts of PCI functions: lines, and messages.

use super::function::Function;
use crate::arch::apic;
use crate::device::window::Window;
use crate::platform::Platform;

const INTERRUPT_LINE: u8 = 0x3c;
const CAPABILITY_MSI: u8 = 0x05;
const MSI_ENABLE: u32 = 1 << 16;
const MSI_VECTORS: u32 = 7 << 20;
const MSI_64_BIT: u32 = 1 << 23;
const CAPABILITY_EXPRESS: u8 = 0x10;
const LINK_CONTROL: u8 = 0x10;
const LINK_SLEEP: u32 = 3;
const CAPABILITY_MSI_X: u8 = 0x11;
const MSI_X_ENABLE: u32 = 1 << 31;
const MSI_X_FUNCTION_MASK: u32 = 1 << 30;
const MESSAGE_ADDRESS: u32 = 0xfee0_0000;
const TABLE_ENTRY_LEN: usize = 16;

/// Routes the line that the firmware gave the function's INTx pin to `vector` of the calling core.
/// Returns whether it gave one that leads somewhere.
#[must_use]
pub fn route_line(function: &Function<'_>, vector: u8, platform: &Platform) -> bool {
    let register = function.read(INTERRUPT_LINE);
    let (line, pin) = (register & 0xff, register >> 8 & 0xff);
    pin != 0 && line != 0 && line != 0xff && platform.route_pci_line(line, vector)
}

/// Routes the function's only message to `vector` of the calling core. Returns whether it has MSI
/// (PCI 3.0, 6.8.1).
pub fn enable_msi(function: &Function<'_>, vector: u8) -> bool {
    let Some(start) = function.capabilities(CAPABILITY_MSI).next() else { return false };
    let control = function.read(start);
    let write = |offset, value| function.write(start.wrapping_add(offset), value);
    write(4, MESSAGE_ADDRESS | apic::id() << 12);
    if control & MSI_64_BIT != 0 {
        write(8, 0);
        write(12, u32::from(vector));
    } else {
        write(8, u32::from(vector));
    }
    write(0, control & !MSI_VECTORS | MSI_ENABLE);
    true
}

/// Keeps the function's link from sleeping to save power (PCI Express 3.0, 7.8.7).
pub fn disable_link_sleep(function: &Function<'_>) {
    if let Some(start) = function.capabilities(CAPABILITY_EXPRESS).next() {
        let control = function.read(start.wrapping_add(LINK_CONTROL));
        // The upper half is the status, whose bits are cleared by ones.
        let control = control & 0xffff & !LINK_SLEEP;
        function.write(start.wrapping_add(LINK_CONTROL), control);
    }
}

/// Routes the function's MSI-X entry 0 to `vector` of the calling core. Returns whether it has
/// MSI-X.
pub fn enable_msi_x(function: &Function<'_>, vector: u8) -> bool {
    let Some(start) = function.capabilities(CAPABILITY_MSI_X).next() else { return false };
    let table = function.read(start.wrapping_add(4));
    let bar = function.bar_address((table & 7) as u8);
    let entry = bar.and_then(|bar| Window::map(bar, u64::from(table & !7), TABLE_ENTRY_LEN));
    let Some(entry) = entry else { return false };
    let words = [MESSAGE_ADDRESS | apic::id() << 12, 0, u32::from(vector), 0];
    words.into_iter().enumerate().for_each(|(index, word)| entry.write(4 * index, word));
    let control = function.read(start);
    let control = (control | MSI_X_ENABLE) & !MSI_X_FUNCTION_MASK;
    function.write(start, control);
    true
}
