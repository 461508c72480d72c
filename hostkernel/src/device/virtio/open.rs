//! Opening virtio devices, wherever they are.

use alloc::boxed::Box;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceType, Transport};

use super::entropy::{self, Entropy};
use super::net::VirtioNet;
use super::pci::ModernTransport;
use super::start::Error;
use crate::arch::vector::NIC;
use crate::device::pci::{Function, enable_msi_x, route_line};
use crate::platform::{InterruptLine, Platform};
use memory::kernel_map;
use memory::physical::PhysicalAddress;
use node::net::nic::Nic;

/// Numbers of PCI functions.
const VENDOR: u16 = 0x1af4;
const TRANSITIONAL_NETWORK: u16 = 0x1000;
const TRANSITIONAL_ENTROPY: u16 = 0x1005;
const MODERN: u16 = 0x1040;
/// Length of a memory-mapped transport's registers.
const MMIO_LEN: usize = 0x200;
/// Opens a PCI function as a virtio network card; `None` if it is not one.
pub fn open_pci(
    function: &Function<'_>,
    platform: &Platform,
) -> Option<Result<Box<dyn Nic>, Error>> {
    if kind_of(function) != Some(DeviceType::Network) {
        return None;
    }
    function.enable();
    // QEMU's `-nic` option makes cards without MSI-X; those use their line.
    let msi_x = enable_msi_x(function, NIC);
    if !msi_x && !route_line(function, NIC, platform) {
        return Some(Err(Error::NoInterrupt));
    }
    Some(ModernTransport::new(function, DeviceType::Network, msi_x).and_then(|transport| {
        let nic = VirtioNet::new(transport)?;
        Ok(Box::new(nic) as Box<dyn Nic>)
    }))
}

/// Opens a memory-mapped transport as a virtio network card; `None` if there is none.
pub fn open_mmio(
    address: u64,
    line: InterruptLine,
    platform: &Platform,
) -> Option<Result<Box<dyn Nic>, Error>> {
    let transport = mmio(address, DeviceType::Network)?;
    if !platform.route(line, NIC) {
        return Some(Err(Error::NoInterrupt));
    }
    Some(VirtioNet::new(transport).map(|nic| Box::new(nic) as Box<dyn Nic>))
}

/// Random bytes from a PCI function, if it is a virtio entropy device and works.
pub fn entropy_pci(function: &Function<'_>) -> Option<Entropy> {
    let kind = kind_of(function).filter(|kind| *kind == DeviceType::EntropySource)?;
    function.enable();
    ModernTransport::new(function, kind, false).ok().and_then(entropy::read)
}

/// What kind of virtio device a function is, if it is one (virtio 1.2, 4.1.2). Transitional ones
/// have numbers of their own.
fn kind_of(function: &Function<'_>) -> Option<DeviceType> {
    match function.device {
        _ if function.vendor != VENDOR => None,
        TRANSITIONAL_NETWORK => Some(DeviceType::Network),
        TRANSITIONAL_ENTROPY => Some(DeviceType::EntropySource),
        device => {
            let number = device.checked_sub(MODERN)?;
            [DeviceType::Network, DeviceType::EntropySource]
                .into_iter()
                .find(|kind| *kind as u16 == number)
        }
    }
}

/// Random bytes from a memory-mapped transport, likewise.
pub fn entropy_mmio(address: u64) -> Option<Entropy> {
    mmio(address, DeviceType::EntropySource).and_then(entropy::read)
}

/// The memory-mapped transport at this address, if it leads to a device of this kind.
fn mmio(address: u64, kind: DeviceType) -> Option<MmioTransport<'static>> {
    let registers = kernel_map::device(PhysicalAddress(address), MMIO_LEN);
    let header = NonNull::new(registers.cast()).expect("the direct map is not at address 0");
    // SAFETY: ACPI names a virtio transport there, and nothing else uses it.
    let transport = unsafe { MmioTransport::new(header, MMIO_LEN) }.ok()?;
    (transport.device_type() == kind).then_some(transport)
}
