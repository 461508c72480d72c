//! PCI configuration space by ports (mechanism 1), bus enumeration and interrupts.

use alloc::vec::Vec;

use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, DeviceFunctionInfo, PciRoot,
};

use crate::arch::{apic, port};
use crate::platform::Platform;
use memory::kernel_map;
use memory::physical::PhysicalAddress;

const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Class of network cards.
pub const CLASS_NETWORK: u8 = 0x02;
const CLASS_BRIDGE: u8 = 0x06;
const SUBCLASS_PCI_BRIDGE: u8 = 0x04;
const BUS_NUMBERS: u8 = 0x18;
/// Base address registers (PCI 3.0, 6.2.5.1): what they hold, and how a memory one looks.
const BAR_0: u8 = 0x10;
const BARS: u8 = 6;
const BAR_IS_PORT: u32 = 1 << 0;
const BAR_KIND: u32 = 3 << 1;
const BAR_32: u32 = 0 << 1;
const BAR_64: u32 = 2 << 1;
const BAR_ADDRESS: u32 = !0xf;
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
/// Buses looked at: every bridge adds one, and a malformed tree must not send us in circles.
const BUSES_MAX: usize = 256;

/// Access through the two ports. Core 0 only.
#[derive(Clone, Copy, Debug)]
pub struct PortAccess;

fn select(function: DeviceFunction, register: u8) {
    let address = ENABLE
        | u32::from(function.bus) << 16
        | u32::from(function.device) << 11
        | u32::from(function.function) << 8
        | u32::from(register & 0xfc);
    // SAFETY: the configuration ports of every PC; selecting has no effect by itself.
    unsafe { port::write_u32(ADDRESS_PORT, address) };
}

impl ConfigurationAccess for PortAccess {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        select(function, register);
        // SAFETY: reading configuration space has no effect on memory.
        unsafe { port::read_u32(DATA_PORT) }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, value: u32) {
        select(function, register);
        // SAFETY: callers are drivers that own the function.
        unsafe { port::write_u32(DATA_PORT, value) };
    }

    unsafe fn unsafe_clone(&self) -> Self {
        *self
    }
}

/// The root of the configuration space.
#[must_use]
pub fn root() -> PciRoot<PortAccess> {
    PciRoot::new(PortAccess)
}

/// A function, and what it says it is.
pub type Function = (DeviceFunction, DeviceFunctionInfo);

/// Every function of the machine, in bus order.
#[must_use]
pub fn functions() -> Vec<Function> {
    let root = root();
    let mut found = Vec::new();
    let mut buses = Vec::from([0]);
    let mut next = 0;
    while let Some(&bus) = buses.get(next) {
        next += 1;
        for (function, info) in root.enumerate_bus(bus) {
            if info.class == CLASS_BRIDGE && info.subclass == SUBCLASS_PCI_BRIDGE {
                let secondary = (PortAccess.read_word(function, BUS_NUMBERS) >> 8) as u8;
                if !buses.contains(&secondary) && buses.len() < BUSES_MAX {
                    buses.push(secondary);
                }
            }
            found.push((function, info));
        }
    }
    found
}

/// Lets a function access memory and be accessed.
pub fn enable(root: &mut PciRoot<PortAccess>, function: DeviceFunction) {
    let (_, command) = root.get_status_command(function);
    let wanted = Command::BUS_MASTER | Command::MEMORY_SPACE;
    root.set_command(function, (command | wanted) & !Command::INTERRUPT_DISABLE);
}

/// Routes the line that the firmware gave the function's INTx pin to `vector` of the calling core.
/// Returns whether it gave one that leads somewhere.
#[must_use]
pub fn route_line(function: DeviceFunction, vector: u8, platform: &Platform) -> bool {
    let register = PortAccess.read_word(function, INTERRUPT_LINE);
    let (line, pin) = (register & 0xff, register >> 8 & 0xff);
    pin != 0 && line != 0 && line != 0xff && platform.route_pci_line(line, vector)
}

/// Physical address of a memory BAR, which firmware has set. It is not sized: that would mean to
/// write to it.
#[must_use]
pub fn bar_address(function: DeviceFunction, bar: u8) -> Option<u64> {
    if bar >= BARS {
        return None;
    }
    let word = |bar: u8| PortAccess.read_word(function, BAR_0 + 4 * bar);
    let low = word(bar);
    let high = match low & (BAR_IS_PORT | BAR_KIND) {
        BAR_64 if bar + 1 < BARS => word(bar + 1),
        BAR_32 => 0,
        _ => return None,
    };
    let address = u64::from(high) << 32 | u64::from(low & BAR_ADDRESS);
    (address != 0).then_some(address)
}

/// Routes the function's only message to `vector` of the calling core. Returns whether it has MSI
/// (PCI 3.0, 6.8.1).
pub fn enable_msi(root: &PciRoot<PortAccess>, function: DeviceFunction, vector: u8) -> bool {
    let Some(start) = capability(root, function, CAPABILITY_MSI) else { return false };
    let control = PortAccess.read_word(function, start);
    let write = |offset, value| PortAccess.write_word(function, start + offset, value);
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
pub fn disable_link_sleep(root: &PciRoot<PortAccess>, function: DeviceFunction) {
    if let Some(start) = capability(root, function, CAPABILITY_EXPRESS) {
        let control = PortAccess.read_word(function, start + LINK_CONTROL);
        // The upper half is the status, whose bits are cleared by ones.
        let control = control & 0xffff & !LINK_SLEEP;
        PortAccess.write_word(function, start + LINK_CONTROL, control);
    }
}

fn capability(root: &PciRoot<PortAccess>, function: DeviceFunction, id: u8) -> Option<u8> {
    root.capabilities(function).find(|found| found.id == id).map(|found| found.offset)
}

/// Routes the function's MSI-X entry 0 to `vector` of the calling core. Returns whether it has
/// MSI-X.
pub fn enable_msi_x(root: &PciRoot<PortAccess>, function: DeviceFunction, vector: u8) -> bool {
    let Some(start) = capability(root, function, CAPABILITY_MSI_X) else { return false };
    let table = PortAccess.read_word(function, start + 4);
    let Some(bar) = bar_address(function, (table & 7) as u8) else { return false };
    let entry = PhysicalAddress(bar + u64::from(table & !7));
    let pointer = kernel_map::device(entry, TABLE_ENTRY_LEN).cast::<u32>();
    let words = [MESSAGE_ADDRESS | apic::id() << 12, 0, u32::from(vector), 0];
    for (index, word) in words.into_iter().enumerate() {
        // SAFETY: the capability says that the table is there; it concerns interrupts only.
        unsafe { pointer.add(index).write_volatile(word) };
    }
    let control = PortAccess.read_word(function, start);
    let control = (control | MSI_X_ENABLE) & !MSI_X_FUNCTION_MASK;
    PortAccess.write_word(function, start, control);
    true
}
