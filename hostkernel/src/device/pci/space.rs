//! Configuration space as a machine has it: in memory, or behind two ports.
//!
//! Memory is the way of PCI Express, and reaches every segment. The ports (PCI 3.0, 3.2.2.3.2) are
//! what older machines have, and newer ones mostly still do.

use alloc::vec::Vec;
use core::ops::Range;

use super::assign;
use super::function::{Function, Space};
use super::scan::Functions;
use crate::arch::port;
use crate::platform::Platform;
use crate::platform::pci::{Address, Buses, Ecam, FUNCTION_LEN};
use memory::kernel_map;
use memory::physical::PhysicalAddress;

const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;

/// Access through the two ports. Core 0 only.
pub struct Ports;

fn select(at: Address, register: u8) {
    let address = ENABLE
        | u32::from(at.bus) << 16
        | u32::from(at.device) << 11
        | u32::from(at.function) << 8
        | u32::from(register & 0xfc);
    // SAFETY: the configuration ports of every PC; selecting has no effect by itself.
    unsafe { port::write_u32(ADDRESS_PORT, address) };
}

impl Space for Ports {
    fn read(&self, at: Address, register: u8) -> u32 {
        select(at, register);
        // SAFETY: reading configuration space has no effect on memory.
        unsafe { port::read_u32(DATA_PORT) }
    }

    fn write(&self, at: Address, register: u8, value: u32) {
        select(at, register);
        // SAFETY: callers are drivers that own the function.
        unsafe { port::write_u32(DATA_PORT, value) };
    }
}

/// Access through memory. A function is shown when it is first looked at: all of a segment would
/// take half a mebibyte of tables.
pub struct Memory(Vec<Ecam>);

impl Memory {
    /// Takes those of the ranges that can be configuration space: in reach, and nobody's memory.
    #[must_use]
    pub fn of(named: &[Ecam], memory: &[(u64, u64)]) -> Self {
        let is_usable = |range: &&Ecam| {
            let Range { start, end } = range.range();
            let is_memory = memory.iter().any(|range| range.0 < end && start < range.1);
            let in_reach = kernel_map::is_reachable(PhysicalAddress(end), 0);
            if is_memory || !in_reach {
                log::warn!("PCI: {start:#x} cannot be the configuration space of a segment");
            }
            !is_memory && in_reach
        };
        Self(named.iter().filter(is_usable).copied().collect())
    }

    fn register(&self, at: Address, register: u8) -> Option<*mut u32> {
        let start = self.0.iter().find_map(|range| range.of(at))?;
        let start = kernel_map::device(PhysicalAddress(start), FUNCTION_LEN);
        Some(start.wrapping_add(usize::from(register & 0xfc)).cast())
    }
}

impl Space for Memory {
    fn read(&self, at: Address, register: u8) -> u32 {
        let Some(register) = self.register(at, register) else { return u32::MAX };
        // SAFETY: the register is in the page of the function, which firmware says is there;
        // reading configuration space has no effect on memory.
        unsafe { register.read_volatile() }
    }

    fn write(&self, at: Address, register: u8, value: u32) {
        if let Some(register) = self.register(at, register) {
            // SAFETY: as above; callers are drivers that own the function.
            unsafe { register.write_volatile(value) };
        }
    }
}

/// The machine's functions, by memory where that leads to any, else by the ports.
pub fn functions<'s>(memory: &'s Memory, ports: &'s Ports) -> Functions<'s> {
    let buses: Vec<Buses> = memory.0.iter().map(|range| range.buses).collect();
    let found = Functions::find(memory, &buses);
    if !found.all().is_empty() {
        log::info!("PCI: {} functions, by memory", found.all().len());
        return found;
    }
    if !buses.is_empty() {
        log::warn!("PCI: firmware names configuration space in memory where there is none");
    }
    let found = Functions::find(ports, &[Buses::OF_PORTS]);
    log::info!("PCI: {} functions, by ports", found.all().len());
    found
}

/// Gives functions of first buses their addresses on a machine whose firmware gave none.
pub fn place(platform: &Platform, functions: &[Function<'_>], memory: &[(u64, u64)]) {
    let needed = assign::is_needed(functions);
    let Some(first) = platform.ecam.first().filter(|_| needed) else { return };
    let is_near =
        |function: &&Function<'_>| first.buses.begins_with(function.at.segment, function.at.bus);
    let near: Vec<_> = functions.iter().filter(is_near).copied().collect();
    let is_free = |window: &&Range<u64>| {
        let meets = |start: u64, end: u64| start < window.end && window.start < end;
        kernel_map::is_reachable(PhysicalAddress(window.end), 0)
            && !memory.iter().any(|range| meets(range.0, range.1))
            && !platform.ecam.iter().map(Ecam::range).any(|range| meets(range.start, range.end))
    };
    let Some(window) = platform.windows.iter().find(is_free) else {
        log::warn!("PCI: firmware gave no function an address, and names no room for any");
        return;
    };
    log::info!("PCI: no addresses by firmware; from {:#x} on", window.start);
    assign::assign(&near, window.clone());
}
