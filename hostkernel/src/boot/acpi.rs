//! What the ACPI tables say: cores, interrupt controllers, power control. No AML is interpreted.
//!
//! Two facts live only in AML: the sleep type of soft-off, and the devices of machines without PCI.
//! Both are constants in every table seen, so the byte code is searched for them.

use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::NonNull;

use acpi::address::{AddressSpace, GenericAddress};
use acpi::sdt::fadt::Fadt;
use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::{AcpiTables, PciAddress, RawPhysicalMapping};

use crate::arch::ioapic::{self, Line};
use crate::arch::{apic, port};
use limits::CORES_MAX;
use memory::kernel_map;
use memory::physical::PhysicalAddress;

/// Where the legacy BIOS area that may hold the root pointer begins and ends.
const BIOS_AREA: Range<u64> = 0xe_0000..0x10_0000;
/// Holds the segment of the BIOS's data area, which may hold it in its first part; and where that
/// area can be.
const BIOS_DATA_SEGMENT: u64 = 0x40e;
const BIOS_DATA_LEN: u64 = 1024;
const LOW_MEMORY: Range<u64> = 0x8_0000..0xa_0000;
/// Where a PC has its first I/O APIC, which has the first lines.
const IOAPIC_USUAL: (u32, u32) = (0xfec0_0000, 0);
const RSDP_SIGNATURE: &[u8; 8] = b"RSD PTR ";

/// The machine as ACPI describes it.
#[derive(Debug, Default)]
pub struct Platform {
    /// APIC ids of usable processors, in table order.
    pub processors: Vec<u32>,
    /// I/O APICs: address and first line.
    pub ioapics: Vec<(u32, u32)>,
    /// Interrupt lines that differ from what their bus has as a rule.
    pub overrides: Vec<(u8, Line)>,
    /// Port of the power-management timer.
    pub timer_port: Option<u16>,
    /// Power control.
    pub power: Power,
    /// Devices named in AML: virtio transports in memory, with their interrupt line.
    pub virtio: Vec<(u64, u32)>,
}

/// How to switch the machine off, reset it, and hear its power button.
#[derive(Clone, Copy, Debug, Default)]
pub struct Power {
    /// PM1a and PM1b status registers; the enable register lies `event_len / 2` behind.
    pub events: [Option<Register>; 2],
    /// Length of an event block in bytes.
    pub event_len: u64,
    /// PM1a and PM1b control registers.
    pub controls: [Option<Register>; 2],
    /// Sleep control register of hardware-reduced machines.
    pub sleep_control: Option<Register>,
    /// Sleep types of soft-off for PM1a and PM1b.
    pub soft_off: Option<(u8, u8)>,
    /// Register and value that reset the machine.
    pub reset: Option<(Register, u8)>,
    /// Line of the system control interrupt.
    pub line: Option<Line>,
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

impl Platform {
    /// Routes the line of a PCI function to a vector of the calling core. Returns whether some I/O
    /// APIC has it.
    #[must_use]
    pub fn route_pci_line(&self, number: u32, vector: u8) -> bool {
        let known = self.overrides.iter().find(|(irq, _)| u32::from(*irq) == number);
        // Without an override PCI lines are level-triggered and active low.
        self.route(known.map_or(Line { number, level: true, low: true }, |known| known.1), vector)
    }

    /// Routes a line to a vector of the calling core. Returns whether some I/O APIC has it.
    #[must_use]
    pub fn route(&self, line: Line, vector: u8) -> bool {
        let target = apic::id();
        let mut controllers = self.ioapics.iter();
        controllers.any(|(address, first)| ioapic::route(*address, *first, line, vector, target))
    }
}

impl Register {
    fn from_generic(generic: GenericAddress) -> Option<Self> {
        match generic.address_space {
            _ if generic.address == 0 => None,
            AddressSpace::SystemIo => u16::try_from(generic.address).ok().map(Self::Port),
            AddressSpace::SystemMemory => Some(Self::Memory(generic.address)),
            _ => None,
        }
    }
}

/// Reads the tables. Without any, the machine is taken to have one processor and no power control.
#[must_use]
pub fn read(rsdp: Option<u64>) -> Platform {
    let mut platform = Platform::default();
    let Some(rsdp) = rsdp.or_else(find_rsdp) else {
        log::warn!("no ACPI tables: one core, no power-off");
        platform.ioapics.push(IOAPIC_USUAL);
        return platform;
    };
    // SAFETY: the boot loader or the BIOS area's signature vouches for the address.
    let tables = match unsafe { AcpiTables::from_rsdp(Firmware, rsdp as usize) } {
        Ok(tables) => tables,
        Err(error) => {
            log::warn!("ACPI tables at {rsdp:#x} are unusable: {error:?}");
            return platform;
        }
    };
    if let Some(madt) = tables.find_table::<Madt>() {
        read_processors(&mut platform, madt.get().entries());
    }
    if let Some(fadt) = tables.find_table::<Fadt>() {
        read_power(&mut platform, &fadt);
    }
    let mut byte_code = Vec::new();
    if let Ok(table) = tables.dsdt() {
        byte_code.push((table.phys_address, table.length));
    }
    byte_code.extend(tables.ssdts().map(|table| (table.phys_address, table.length)));
    for (address, len) in byte_code {
        let start = kernel_map::firmware(PhysicalAddress(address as u64), len as usize);
        // SAFETY: the table's header gave its length; firmware tables are not written any more.
        let bytes = unsafe { core::slice::from_raw_parts(start, len as usize) };
        platform.power.soft_off = platform.power.soft_off.or_else(|| find_soft_off(bytes));
        platform.virtio.extend(find_devices(bytes, b"LNRO0005"));
        if platform.power.event_device.is_none()
            && let Some((address, line)) = find_devices(bytes, b"ACPI0013").next()
        {
            platform.power.event_device = Some(Register::Memory(address));
            platform.power.line = Some(Line { number: line, level: false, low: false });
        }
    }
    platform
}

fn read_processors<'a>(platform: &mut Platform, entries: impl Iterator<Item = MadtEntry<'a>>) {
    const ENABLED: u32 = 1 << 0;
    for entry in entries {
        let (id, flags) = match entry {
            MadtEntry::LocalApic(entry) => (u32::from(entry.apic_id), entry.flags),
            MadtEntry::LocalX2Apic(entry) => (entry.x2apic_id, entry.flags),
            MadtEntry::IoApic(entry) => {
                platform.ioapics.push((entry.io_apic_address, entry.global_system_interrupt_base));
                continue;
            }
            MadtEntry::InterruptSourceOverride(entry) => {
                // MPS INTI flags (ACPI 6.5, table 5.26): 1 and 3 say high or low, edge or level.
                let line = Line {
                    number: entry.global_system_interrupt,
                    level: entry.flags >> 2 & 3 == 3,
                    low: entry.flags & 3 == 3,
                };
                platform.overrides.push((entry.irq, line));
                continue;
            }
            _ => continue,
        };
        if flags & ENABLED != 0 && platform.processors.len() < CORES_MAX {
            platform.processors.push(id);
        }
    }
}

fn read_power(platform: &mut Platform, fadt: &Fadt) {
    let reduced = { fadt.flags }.system_is_hw_reduced_acpi();
    let power = &mut platform.power;
    if let Ok(generic) = fadt.reset_register()
        && { fadt.flags }.supports_system_reset_via_fadt()
    {
        power.reset = Register::from_generic(generic).map(|register| (register, fadt.reset_value));
    }
    if let Ok(Some(generic)) = fadt.sleep_control_register() {
        power.sleep_control = Register::from_generic(generic);
    }
    if reduced {
        return;
    }
    let optional = |generic: Result<Option<GenericAddress>, _>| {
        generic.ok().flatten().and_then(Register::from_generic)
    };
    power.events = [
        fadt.pm1a_event_block().ok().and_then(Register::from_generic),
        optional(fadt.pm1b_event_block()),
    ];
    power.event_len = u64::from(fadt.pm1_event_length);
    power.controls = [
        fadt.pm1a_control_block().ok().and_then(Register::from_generic),
        optional(fadt.pm1b_control_block()),
    ];
    power.line = Some(Line { number: u32::from(fadt.sci_interrupt), level: true, low: false });
    if let Ok(port) = u16::try_from(fadt.smi_cmd_port)
        && port != 0
        && fadt.acpi_enable != 0
    {
        power.handover = Some((port, fadt.acpi_enable));
    }
    if let Some(Register::Port(port)) = optional(fadt.pm_timer_block()) {
        platform.timer_port = Some(port);
    }
}

/// Looks where a BIOS leaves the root pointer, for loaders that do not pass it on: at the start of
/// its own data area, or in its read-only memory (ACPI 6.5, 5.2.5.1).
fn find_rsdp() -> Option<u64> {
    let find = |area: Range<u64>| {
        let len = (area.end - area.start) as usize;
        let start = kernel_map::firmware(PhysicalAddress(area.start), len);
        // SAFETY: what lies below 1 MiB is ordinary or read-only memory on every PC.
        let bytes = unsafe { core::slice::from_raw_parts(start, len) };
        let at = bytes.chunks_exact(16).position(|chunk| chunk.starts_with(RSDP_SIGNATURE))?;
        Some(area.start + at as u64 * 16)
    };
    let pointer = kernel_map::firmware(PhysicalAddress(BIOS_DATA_SEGMENT), 2);
    // SAFETY: the first page is ordinary memory on every PC.
    let data = u64::from(unsafe { pointer.cast::<u16>().read() }) << 4;
    let data = data..data + BIOS_DATA_LEN;
    let own = (LOW_MEMORY.contains(&data.start) && data.end <= LOW_MEMORY.end).then_some(data);
    own.and_then(find).or_else(|| find(BIOS_AREA))
}

/// `Name (_S5_, Package (n) { a, b, ... })`: the sleep types a and b.
fn find_soft_off(byte_code: &[u8]) -> Option<(u8, u8)> {
    const PACKAGE: u8 = 0x12;
    let at = byte_code.windows(5).position(|window| window == b"_S5_\x12")?;
    let package = &byte_code[at + 4..];
    debug_assert_eq!(package.first(), Some(&PACKAGE));
    // Package length: the top two bits of the first byte count the bytes that follow; then the
    // number of elements.
    let length_bytes = usize::from(package.get(1)? >> 6) + 1;
    let elements = package.get(1 + length_bytes + 1..)?;
    let (first, rest) = small_integer(elements)?;
    let second = small_integer(rest).map_or(first, |(second, _)| second);
    Some((first, second))
}

/// An AML integer of at most a byte, and what follows it.
fn small_integer(byte_code: &[u8]) -> Option<(u8, &[u8])> {
    const BYTE_PREFIX: u8 = 0x0a;
    match byte_code {
        [value @ 0..=1, rest @ ..] | [BYTE_PREFIX, value, rest @ ..] => Some((*value, rest)),
        _ => None,
    }
}

/// Devices with this hardware id and resources of the simplest kind: one 32-bit fixed memory range
/// or operation region, and one extended interrupt.
fn find_devices<'a>(
    byte_code: &'a [u8],
    hardware_id: &'a [u8; 8],
) -> impl Iterator<Item = (u64, u32)> + 'a {
    /// How far behind its id a device's resources are looked for.
    const DEVICE_LEN_MAX: usize = 192;
    const MEMORY_32_FIXED: &[u8] = &[0x86, 0x09, 0x00];
    const EXTENDED_INTERRUPT: &[u8] = &[0x89, 0x06, 0x00];
    let word =
        |bytes: &[u8]| bytes.get(..4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let ids = byte_code.windows(8).enumerate().filter(move |(_, window)| window == hardware_id);
    ids.filter_map(move |(at, _)| {
        let rest = &byte_code[at + 8..(at + 8 + DEVICE_LEN_MAX).min(byte_code.len())];
        let find = |tag: &[u8]| rest.windows(tag.len()).position(|window| window == tag);
        // Interrupt descriptor: tag, flags, count, then the line.
        let line = word(rest.get(find(EXTENDED_INTERRUPT)? + 5..)?)?;
        let address = match find(MEMORY_32_FIXED) {
            // Tag, read-write flag, then the address.
            Some(memory) => word(rest.get(memory + 4..)?)?,
            None => find_operation_region(rest)?,
        };
        Some((u64::from(address), line))
    })
}

/// `OperationRegion (name, SystemMemory, address, ...)`.
fn find_operation_region(byte_code: &[u8]) -> Option<u32> {
    const OPERATION_REGION: &[u8] = &[0x5b, 0x80];
    const NAME_LEN: usize = 4;
    const DWORD_PREFIX: u8 = 0x0c;
    let at = byte_code.windows(2).position(|window| window == OPERATION_REGION)?;
    match byte_code.get(at + 2 + NAME_LEN..)? {
        [0, DWORD_PREFIX, a, b, c, d, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// Lets the `acpi` crate see firmware tables. Registers are accessed by [`crate::device::power`];
/// the accessors here exist because the trait has them, and do what they say.
#[derive(Clone, Copy)]
struct Firmware;

macro_rules! memory_access {
    ($($read:ident $write:ident $word:ty;)*) => {$(
        fn $read(&self, address: usize) -> $word {
            let pointer = kernel_map::device(PhysicalAddress(address as u64), size_of::<$word>());
            // SAFETY: the address comes from an ACPI table, which names a register there.
            unsafe { pointer.cast::<$word>().read_volatile() }
        }
        fn $write(&self, address: usize, value: $word) {
            let pointer = kernel_map::device(PhysicalAddress(address as u64), size_of::<$word>());
            // SAFETY: as above.
            unsafe { pointer.cast::<$word>().write_volatile(value) }
        }
    )*};
}

macro_rules! port_access {
    ($($read:ident $write:ident $port_read:ident $port_write:ident $word:ty;)*) => {$(
        fn $read(&self, port: u16) -> $word {
            // SAFETY: the port comes from an ACPI table, which names a register there.
            unsafe { port::$port_read(port) }
        }
        fn $write(&self, port: u16, value: $word) {
            // SAFETY: as above.
            unsafe { port::$port_write(port, value) }
        }
    )*};
}

macro_rules! pci_access {
    ($($read:ident $write:ident $word:ty;)*) => {$(
        fn $read(&self, _: PciAddress, _: u16) -> $word {
            // Only AML reads PCI configuration space, and none is interpreted.
            <$word>::MAX
        }
        fn $write(&self, _: PciAddress, _: u16, _: $word) {}
    )*};
}

impl acpi::Handler for Firmware {
    unsafe fn map_physical_region<T>(&self, address: usize, size: usize) -> RawPhysicalMapping<T> {
        let start = kernel_map::firmware(PhysicalAddress(address as u64), size);
        let start = NonNull::new(start.cast()).expect("the direct map is not at address 0");
        // SAFETY: the direct map shows the region for good; tables are only read.
        unsafe { RawPhysicalMapping::new(address, start, size, size) }
    }

    unsafe fn unmap_physical_region<T>(&self, _: RawPhysicalMapping<T>) {}

    memory_access! {
        read_u8 write_u8 u8;
        read_u16 write_u16 u16;
        read_u32 write_u32 u32;
        read_u64 write_u64 u64;
    }
    port_access! {
        read_io_u8 write_io_u8 read_u8 write_u8 u8;
        read_io_u16 write_io_u16 read_u16 write_u16 u16;
        read_io_u32 write_io_u32 read_u32 write_u32 u32;
    }
    pci_access! {
        read_pci_u8 write_pci_u8 u8;
        read_pci_u16 write_pci_u16 u16;
        read_pci_u32 write_pci_u32 u32;
    }

    fn nanos_since_boot(&self) -> u64 {
        crate::arch::clock::now_ns()
    }

    fn stall(&self, microseconds: u64) {
        crate::arch::clock::spin_us(microseconds);
    }

    fn sleep(&self, milliseconds: u64) {
        crate::arch::clock::spin_us(milliseconds * 1000);
    }
}
