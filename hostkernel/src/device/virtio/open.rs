//! Opening virtio devices, wherever they are.

use alloc::boxed::Box;
use core::fmt;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use super::entropy::{self, Entropy};
use super::net::VirtioNet;
use super::pci::ModernTransport;
use crate::arch::vector::NIC;
use crate::device::pci::{Function, enable_msi_x, route_line};
use crate::platform::{Line, Platform};
use limits::PAGE_LEN;
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
pub(super) const FEATURE_VERSION_1: u64 = 1 << 32;
/// Addresses are those that the platform gives the device, which may not be the memory's own where
/// an IOMMU translates. The device insists on the feature; what it is about is for the platform.
const FEATURE_ACCESS_PLATFORM: u64 = 1 << 33;

/// Why a virtio network card cannot be used.
#[derive(Debug)]
pub enum Error {
    /// It has no modern interface, or one that makes no sense.
    NotModern,
    /// Queues could not be set up.
    Queue(virtio_drivers::Error),
    /// Its interrupt cannot be routed.
    NoInterrupt,
    /// It wants header and frame in separate buffers, as devices before virtio 0.9.5 did.
    TooOld,
    /// It refused the features it offered.
    FeaturesRefused,
    /// There is no memory for its buffers.
    NoMemory,
    /// It stopped as soon as it was to use its queues.
    GaveUp,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotModern => {
                f.write_str("lacks the interface of virtio 1.0, and the legacy one is not enough")
            }
            Self::Queue(error) => write!(f, "cannot set up its queues: {error}"),
            Self::NoInterrupt => f.write_str("cannot route its interrupt"),
            Self::TooOld => f.write_str("offers neither virtio 1 nor any-layout"),
            Self::FeaturesRefused => f.write_str("refused the features it offered"),
            Self::NoMemory => f.write_str("no memory for its buffers"),
            Self::GaveUp => f.write_str("gave up when it was told of its queues"),
        }
    }
}

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
    line: Line,
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

/// Begins to set a device up (virtio 1.2, 3.1.1). `choose` is told what it offers, may read its
/// structure, and says what is wanted. Returns which of that it has, besides `FEATURE_VERSION_1`,
/// without which a device is an old one.
pub(super) fn start<T: Transport>(
    transport: &mut T,
    choose: impl FnOnce(&T, u64) -> u64,
) -> Result<u64, Error> {
    let starting = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(DeviceStatus::empty());
    transport.set_status(starting);
    let offered = transport.read_device_features();
    if offered & FEATURE_VERSION_1 == 0 && !transport.requires_legacy_layout() {
        return Err(Error::TooOld);
    }
    let always = FEATURE_VERSION_1 | FEATURE_ACCESS_PLATFORM;
    let features = offered & (choose(transport, offered) | always);
    transport.write_driver_features(features);
    if features & FEATURE_VERSION_1 != 0 {
        transport.set_status(starting | DeviceStatus::FEATURES_OK);
        if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(Error::FeaturesRefused);
        }
    }
    transport.set_guest_page_size(PAGE_LEN as u32);
    Ok(features)
}
