//! The modern PCI transport (virtio 1.2, 4.1), with one interrupt for all queues or none.
//!
//! Its structures lie where capabilities say, in memory that base address registers say. Those are
//! read and never sized: every write to one makes an emulator lay out its memory anew, which costs
//! more than all the rest of booting.

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error as VirtioError, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::open::Error;
use crate::device::pci::Function;
use crate::device::window::Window;

const CAPABILITY_VENDOR: u8 = 0x09;
/// Kinds of structures.
const KIND_COMMON: u8 = 1;
const KIND_NOTIFY: u8 = 2;
const KIND_INTERRUPT: u8 = 3;
const KIND_DEVICE: u8 = 4;
/// Most bytes of the notification structure that are mapped: registers of queues beyond are found
/// to be missing.
const NOTIFY_LEN_MAX: usize = 4096;
/// Queues whose notification registers are remembered: a receive and a send queue.
const QUEUES_MAX: usize = 2;
/// Longest value read from or written to the device's own structure.
const VALUE_LEN_MAX: usize = 16;
/// How often a device is asked whether it has reset itself.
const RESET_READS_MAX: usize = 1_000_000;
const NO_VECTOR: u16 = 0xffff;

// Offsets in the common structure (virtio 1.2, 4.1.4.3).
const COMMON_LEN: usize = 0x38;
const DEVICE_FEATURE_SELECT: usize = 0;
const DEVICE_FEATURE: usize = 4;
const DRIVER_FEATURE_SELECT: usize = 8;
const DRIVER_FEATURE: usize = 12;
const DEVICE_STATUS: usize = 20;
const CONFIG_GENERATION: usize = 21;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_VECTOR: usize = 26;
const QUEUE_ENABLE: usize = 28;
const QUEUE_NOTIFY_OFFSET: usize = 30;
const QUEUE_TABLE: usize = 32;
const QUEUE_DRIVER: usize = 40;
const QUEUE_DEVICE: usize = 48;

/// Where a structure of the device is.
struct Structure {
    address: u64,
    len: usize,
    /// Of the capability in configuration space.
    capability: u8,
}

impl Structure {
    /// Shows at most `len_max` bytes of it.
    fn map(&self, len_max: usize) -> core::result::Result<Window, Error> {
        Window::map(self.address, 0, self.len.min(len_max)).ok_or(Error::NotModern)
    }
}

/// A PCI virtio device.
pub struct ModernTransport {
    kind: DeviceType,
    common: Window,
    notify: Window,
    notify_multiplier: u32,
    interrupt: Window,
    device: Option<Window>,
    msi_x: bool,
    queue_registers: [Option<*mut u16>; QUEUES_MAX],
}

impl ModernTransport {
    /// Finds the structures of a function. With `msi_x` its queues use entry 0 of the table, which
    /// the caller has set.
    pub fn new(
        function: &Function<'_>,
        kind: DeviceType,
        msi_x: bool,
    ) -> core::result::Result<Self, Error> {
        let structure = |kind| find(function, kind);
        let common = structure(KIND_COMMON).filter(|found| found.len >= COMMON_LEN);
        let (Some(common), Some(notify), Some(interrupt)) =
            (common, structure(KIND_NOTIFY), structure(KIND_INTERRUPT))
        else {
            return Err(Error::NotModern);
        };
        let device = structure(KIND_DEVICE);
        let notify_multiplier = function.read(notify.capability.wrapping_add(16));
        Ok(Self {
            kind,
            common: common.map(COMMON_LEN)?,
            notify: notify.map(NOTIFY_LEN_MAX)?,
            notify_multiplier,
            interrupt: interrupt.map(1)?,
            device: device.map(|device| device.map(NOTIFY_LEN_MAX)).transpose()?,
            msi_x,
            queue_registers: [None; QUEUES_MAX],
        })
    }

    fn select(&self, queue: u16) {
        self.common.write(QUEUE_SELECT, queue);
    }

    fn write_address(&self, offset: usize, address: PhysAddr) {
        self.common.write(offset, address as u32);
        self.common.write(offset + 4, (address >> 32) as u32);
    }

    /// The device's own structure, if a value of `len` bytes fits at `offset`.
    fn own(&self, offset: usize, len: usize) -> Result<&Window> {
        let window = self.device.as_ref().ok_or(VirtioError::ConfigSpaceMissing)?;
        let fits =
            len <= VALUE_LEN_MAX && offset.checked_add(len).is_some_and(|end| end <= window.len());
        fits.then_some(window).ok_or(VirtioError::ConfigSpaceTooSmall)
    }
}

/// The structure of this kind.
fn find(function: &Function<'_>, kind: u8) -> Option<Structure> {
    let word = |capability: u8, at| function.read(capability.wrapping_add(at));
    let mut capabilities = function.capabilities(CAPABILITY_VENDOR);
    let capability = capabilities.find(|start| (word(*start, 0) >> 24) as u8 == kind)?;
    let (bar, start, len) = (word(capability, 4) as u8, word(capability, 8), word(capability, 12));
    let address = function.bar_address(bar)?.checked_add(u64::from(start))?;
    (len > 0).then_some(Structure { address, len: len as usize, capability })
}

impl Transport for ModernTransport {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.common.write(DEVICE_FEATURE_SELECT, 0_u32);
        let low: u32 = self.common.read(DEVICE_FEATURE);
        self.common.write(DEVICE_FEATURE_SELECT, 1_u32);
        let high: u32 = self.common.read(DEVICE_FEATURE);
        u64::from(high) << 32 | u64::from(low)
    }

    fn write_driver_features(&mut self, features: u64) {
        self.common.write(DRIVER_FEATURE_SELECT, 0_u32);
        self.common.write(DRIVER_FEATURE, features as u32);
        self.common.write(DRIVER_FEATURE_SELECT, 1_u32);
        self.common.write(DRIVER_FEATURE, (features >> 32) as u32);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        u32::from(self.common.read::<u16>(QUEUE_SIZE))
    }

    fn notify(&mut self, queue: u16) {
        if let Some(Some(register)) = self.queue_registers.get(usize::from(queue)) {
            // SAFETY: `queue_set` found the register inside the notification structure.
            unsafe { register.write_volatile(queue) };
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(u32::from(self.common.read::<u8>(DEVICE_STATUS)))
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.common.write(DEVICE_STATUS, status.bits() as u8);
        // A device has reset itself when it says so (virtio 1.2, 4.1.4.3.2).
        if status.is_empty() {
            let done = |_: &usize| self.common.read::<u8>(DEVICE_STATUS) == 0;
            let _read = (0..RESET_READS_MAX).find(done);
        }
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        table: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        self.select(queue);
        if self.msi_x {
            self.common.write(QUEUE_VECTOR, 0_u16);
            if self.common.read::<u16>(QUEUE_VECTOR) == NO_VECTOR {
                log::warn!("virtio queue {queue} got no interrupt vector");
            }
        }
        let offset = usize::from(self.common.read::<u16>(QUEUE_NOTIFY_OFFSET))
            * self.notify_multiplier as usize;
        match self.queue_registers.get_mut(usize::from(queue)) {
            Some(register) if offset + size_of::<u16>() <= self.notify.len() => {
                *register = Some(self.notify.register(offset));
            }
            _ => log::warn!("virtio queue {queue} cannot be notified"),
        }
        self.common.write(QUEUE_SIZE, size as u16);
        self.write_address(QUEUE_TABLE, table);
        self.write_address(QUEUE_DRIVER, driver);
        self.write_address(QUEUE_DEVICE, device);
        self.common.write(QUEUE_ENABLE, 1_u16);
    }

    // Only a reset of the device gives up a queue (virtio 1.2, 4.1.4.3).
    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        self.common.read::<u16>(QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        // With MSI-X there is nothing to acknowledge; a line stays up until the status is read.
        if self.msi_x {
            return InterruptStatus::empty();
        }
        InterruptStatus::from_bits_truncate(u32::from(self.interrupt.read::<u8>(0)))
    }

    fn read_config_generation(&self) -> u32 {
        u32::from(self.common.read::<u8>(CONFIG_GENERATION))
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let window = self.own(offset, size_of::<T>())?;
        let mut bytes = [0; VALUE_LEN_MAX];
        for (index, byte) in bytes[..size_of::<T>()].iter_mut().enumerate() {
            *byte = window.read(offset + index);
        }
        T::read_from_bytes(&bytes[..size_of::<T>()]).map_err(|_| VirtioError::InvalidParam)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        let window = self.own(offset, size_of::<T>())?;
        for (index, byte) in value.as_bytes().iter().enumerate() {
            window.write(offset + index, *byte);
        }
        Ok(())
    }
}
