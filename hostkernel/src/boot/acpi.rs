//! Finds the ACPI tables of this machine and hands their bytes to [`crate::platform`], which reads
//! them. No AML is interpreted.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::{NonNull, slice_from_raw_parts_mut};

use acpi::{AcpiTables, PciAddress, RawPhysicalMapping};

use crate::arch::{apic, ioapic, port};
use crate::platform::table::{HEADER_LEN, Table};
use crate::platform::{InterruptLine, Signal, aml, fadt, madt, pci};
use crate::platform::{Platform, Register};
use limits::{ACPI_TABLE_LEN_MAX, ACPI_TABLES_MAX, PCI_RANGES_MAX};
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

impl Platform {
    /// Routes the line of a PCI function to a vector of the calling core. Returns whether some I/O
    /// APIC has it.
    #[must_use]
    pub fn route_pci_line(&self, number: u32, vector: u8) -> bool {
        self.route(self.line(number, Signal::SHARED), vector)
    }

    /// Routes a line to a vector of the calling core. Returns whether some I/O APIC has it.
    #[must_use]
    pub fn route(&self, line: InterruptLine, vector: u8) -> bool {
        let target = apic::id();
        let mut controllers = self.ioapics.iter();
        controllers.any(|(address, first)| ioapic::route(*address, *first, line, vector, target))
    }
}

/// Reads the tables. Without any, the machine is taken to have one processor and no power control.
#[must_use]
pub fn read(rsdp: Option<u64>) -> Platform {
    let mut platform = Platform::default();
    match rsdp.or_else(find_rsdp) {
        // SAFETY: the boot loader or the BIOS area's signature vouches for the address.
        Some(rsdp) => match unsafe { AcpiTables::from_rsdp(Firmware, rsdp as usize) } {
            Ok(tables) => read_tables(&tables, &mut platform),
            Err(error) => log::warn!("ACPI tables at {rsdp:#x} are unusable: {error:?}"),
        },
        None => log::warn!("no ACPI tables: one core, no power-off"),
    }
    if platform.ioapics.is_empty() {
        platform.ioapics.push(IOAPIC_USUAL);
    }
    platform
}

fn read_tables(tables: &AcpiTables<Firmware>, platform: &mut Platform) {
    let addresses = tables.table_entries().take(ACPI_TABLES_MAX);
    let found: Vec<_> = addresses.filter_map(|address| table(address as u64)).collect();
    let all = |signature| found.iter().copied().filter(move |table| table.is(signature));
    // The interrupt lines' overrides before anything that has a line.
    if let Some(madt) = all(madt::SIGNATURE).next() {
        madt::read(madt, platform);
    }
    let fadt = all(fadt::SIGNATURE).next();
    if let Some(fadt) = fadt {
        fadt::read(fadt, platform);
    }
    for (signature, kind) in pci::IOMMUS {
        if all(signature).next().is_some() {
            log::info!("IOMMU {kind}: not used; if it translates, no card will be heard of");
        }
    }
    platform.ecam.extend(all(pci::SIGNATURE).next().into_iter().flat_map(pci::ranges));
    let described = fadt.and_then(fadt::byte_code).and_then(table);
    for byte_code in described.into_iter().chain(all(b"SSDT")) {
        let bytes = byte_code.rest(HEADER_LEN);
        let power = &mut platform.power;
        power.soft_off = power.soft_off.or_else(|| aml::soft_off(bytes));
        if power.event_device.is_none()
            && let Some((address, line)) = aml::devices(bytes, aml::EVENT_DEVICE).next()
        {
            power.event_device = Some(Register::Memory(address));
            power.line = Some(line);
        }
        platform.virtio.extend(aml::devices(bytes, aml::VIRTIO));
        let room = PCI_RANGES_MAX - platform.windows.len();
        platform.windows.extend(pci::windows(bytes).take(room));
        if platform.ecam.is_empty() {
            platform.ecam.extend(pci::named(bytes));
        }
    }
}

/// The table at a physical address, if it can be one.
fn table(address: u64) -> Option<Table<'static>> {
    const LEN_AT: usize = 4;
    let header = bytes(address, HEADER_LEN)?;
    let len = u32::from_le_bytes(header.get(LEN_AT..LEN_AT + 4)?.try_into().ok()?) as usize;
    Table::new(bytes(address, len.min(ACPI_TABLE_LEN_MAX))?)
}

/// Bytes of the firmware's, unless they are where none can be.
fn bytes(address: u64, len: usize) -> Option<&'static [u8]> {
    let place = PhysicalAddress(address);
    if address == 0 || len == 0 || !kernel_map::is_reachable(place, len) {
        return None;
    }
    let start = kernel_map::firmware(place, len);
    // SAFETY: memory or nothing is there, and mapped now for as long as is said; firmware's tables
    // lie in memory that is not free, and are not written any more.
    Some(unsafe { core::slice::from_raw_parts(start, len) })
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

/// Lets the `acpi` crate see copies of firmware's tables, so that it finds zeros where a table ends
/// before the structure it reads. Registers are accessed by [`crate::device::power`]; the accessors
/// here exist because the trait has them, and do what they say.
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
        const { assert!(align_of::<T>() <= align_of::<u64>(), "the copy is aligned like this") };
        let len = size.min(ACPI_TABLE_LEN_MAX);
        let mut copy = vec![0_u64; len.max(size_of::<T>()).div_ceil(8)].into_boxed_slice();
        let copy_len = size_of_val(&*copy);
        if let Some(original) = bytes(address as u64, len) {
            for (word, bytes) in copy.iter_mut().zip(original.chunks(8)) {
                let mut padded = [0; 8];
                padded[..bytes.len()].copy_from_slice(bytes);
                *word = u64::from_le_bytes(padded);
            }
        }
        let start = NonNull::from(Box::leak(copy)).cast();
        // SAFETY: the copy is as long as the structure, and freed in `unmap_physical_region` only.
        unsafe { RawPhysicalMapping::new(address, start, len, copy_len) }
    }

    unsafe fn unmap_physical_region<T>(&self, region: RawPhysicalMapping<T>) {
        // SAFETY: the copy came from `map_physical_region`, which leaked so many words, and the
        // caller gives it up.
        drop(unsafe {
            let start = region.virtual_start().cast::<u64>().as_ptr();
            Box::from_raw(slice_from_raw_parts_mut(start, region.mapped_length() / 8))
        });
    }

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
