//! The modern PCI transport of `virtio-drivers`, completed by what it lacks: interrupts for the
//! queues, and notification without searching the register first (virtio 1.2, 4.1.4 and 4.1.5).
//!
//! Interrupts are messages where the card has MSI-X. QEMU's `-nic` option makes cards without it;
//! those use the interrupt line the firmware gave them.

use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction, PciRoot};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Error;
use super::hal::KernelHal;
use crate::arch::interrupt::NIC;
use crate::boot::acpi::Platform;
use crate::device::pci::{PortAccess, bar_address, enable_msi_x, interrupt_line};
use crate::memory::kernel_map;
use crate::memory::physical::PhysicalAddress;

const CAPABILITY_VENDOR: u8 = 0x09;
const KIND_COMMON: u8 = 1;
const KIND_NOTIFY: u8 = 2;
const COMMON_LEN: usize = 0x38;
// Offsets in the common configuration structure.
const QUEUE_SELECT: usize = 22;
const QUEUE_VECTOR: usize = 26;
const QUEUE_NOTIFY_OFFSET: usize = 30;
const NO_VECTOR: u16 = 0xffff;
/// Queues whose notification registers are remembered: a receive and a send queue.
const QUEUES_MAX: usize = 2;

/// A PCI virtio device whose queues interrupt the core that opened it.
pub struct ModernTransport {
    inner: PciTransport,
    common: *mut u8,
    notify: *mut u8,
    notify_multiplier: u32,
    msi_x: bool,
    queue_registers: [Option<*mut u16>; QUEUES_MAX],
}

impl ModernTransport {
    pub fn new(
        root: &mut PciRoot<PortAccess>,
        function: DeviceFunction,
        platform: &Platform,
    ) -> core::result::Result<Self, Error> {
        let inner = PciTransport::new::<KernelHal, _>(root, function).map_err(Error::Transport)?;
        let (common, _) = find(root, function, KIND_COMMON).ok_or(Error::NoInterrupt)?;
        let (notify, offset) = find(root, function, KIND_NOTIFY).ok_or(Error::NoInterrupt)?;
        let notify_multiplier = PortAccess.read_word(function, offset + 16);
        let msi_x = enable_msi_x(root, function, NIC);
        let routed = msi_x
            || interrupt_line(function).is_some_and(|line| platform.route_pci_line(line, NIC));
        if !routed {
            return Err(Error::NoInterrupt);
        }
        Ok(Self {
            inner,
            common: kernel_map::device(PhysicalAddress(common), COMMON_LEN),
            notify: kernel_map::device(PhysicalAddress(notify), 4096),
            notify_multiplier,
            msi_x,
            queue_registers: [None; QUEUES_MAX],
        })
    }

    fn read(&self, offset: usize) -> u16 {
        // SAFETY: `common` is the common configuration structure, which is longer than any offset
        // here.
        unsafe { self.common.add(offset).cast::<u16>().read_volatile() }
    }

    fn write(&self, offset: usize, value: u16) {
        // SAFETY: as in `read`; the registers written concern interrupts only.
        unsafe { self.common.add(offset).cast::<u16>().write_volatile(value) }
    }
}

/// Physical address of the structure that a vendor capability of this kind describes, and the
/// capability's offset.
fn find(root: &mut PciRoot<PortAccess>, function: DeviceFunction, kind: u8) -> Option<(u64, u8)> {
    let offset = root
        .capabilities(function)
        .find(|found| found.id == CAPABILITY_VENDOR && (found.private_header >> 8) as u8 == kind)?
        .offset;
    let bar = PortAccess.read_word(function, offset + 4) as u8;
    let start = PortAccess.read_word(function, offset + 8);
    Some((bar_address(root, function, bar)? + u64::from(start), offset))
}

impl Transport for ModernTransport {
    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        table: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        self.write(QUEUE_SELECT, queue);
        if self.msi_x {
            self.write(QUEUE_VECTOR, 0);
            if self.read(QUEUE_VECTOR) == NO_VECTOR {
                log::warn!("virtio queue {queue} got no interrupt vector");
            }
        }
        let offset = usize::from(self.read(QUEUE_NOTIFY_OFFSET)) * self.notify_multiplier as usize;
        if let Some(register) = self.queue_registers.get_mut(usize::from(queue))
            && offset < 4096
        {
            *register = Some(self.notify.wrapping_add(offset).cast());
        }
        self.inner.queue_set(queue, size, table, driver, device);
    }

    fn notify(&mut self, queue: u16) {
        match self.queue_registers.get(usize::from(queue)) {
            // SAFETY: the register lies in the page of the notification structure mapped in `new`.
            Some(Some(register)) => unsafe { register.write_volatile(queue) },
            _ => self.inner.notify(queue),
        }
    }

    fn device_type(&self) -> DeviceType {
        self.inner.device_type()
    }

    fn read_device_features(&mut self) -> u64 {
        self.inner.read_device_features()
    }

    fn write_driver_features(&mut self, features: u64) {
        self.inner.write_driver_features(features);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.inner.max_queue_size(queue)
    }

    fn get_status(&self) -> DeviceStatus {
        self.inner.get_status()
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.inner.set_status(status);
    }

    fn set_guest_page_size(&mut self, size: u32) {
        self.inner.set_guest_page_size(size);
    }

    fn requires_legacy_layout(&self) -> bool {
        self.inner.requires_legacy_layout()
    }

    fn queue_unset(&mut self, queue: u16) {
        self.inner.queue_unset(queue);
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.inner.queue_used(queue)
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // With MSI-X there is nothing to acknowledge; a line stays up until the status is read.
        if self.msi_x { InterruptStatus::empty() } else { self.inner.ack_interrupt() }
    }

    fn read_config_generation(&self) -> u32 {
        self.inner.read_config_generation()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        self.inner.read_config_space(offset)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        self.inner.write_config_space(offset, value)
    }
}
