//! The modern PCI transport (virtio 1.2, 4.1), with one interrupt for all queues or none.
//!
//! Its structures lie where capabilities say, in memory that base address registers say. Those are
//! sized once for each register that has one: every write makes an emulator lay out its memory
//! anew.

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error as VirtioError, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::start::Error;
use super::structures::{self, BarLens, Structure, StructureKind};
use crate::device::pci::Function;
use crate::device::window::Window;

/// Queues whose notification registers are remembered: a receive and a send queue.
const QUEUES_MAX: usize = 2;
/// Most bytes of the device's own structure that are looked at.
const DEVICE_LEN_MAX: usize = 4096;
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

/// A PCI virtio device.
pub struct ModernTransport {
    kind: DeviceType,
    common: Window,
    notify: Structure,
    interrupt: Window,
    device: Option<Window>,
    msi_x: bool,
    queue_registers: [Option<Window>; QUEUES_MAX],
}

impl ModernTransport {
    /// Finds the structures of a function. With `msi_x` its queues use entry 0 of the table, which
    /// the caller has set.
    pub fn new(
        function: &Function<'_>,
        kind: DeviceType,
        msi_x: bool,
    ) -> core::result::Result<Self, Error> {
        let mut lens = BarLens::default();
        let mut structure = |kind, len_min| structures::find(function, kind, len_min, &mut lens);
        let common = structure(StructureKind::Common, COMMON_LEN as u32).ok_or(Error::NotModern)?;
        let notify = structure(StructureKind::Notify, 2).ok_or(Error::NotModern)?;
        let interrupt = structure(StructureKind::Interrupt, 1).ok_or(Error::NotModern)?;
        let device = structure(StructureKind::Device, 1);
        let window = |at: Structure, len_max: usize| {
            Window::map(at.address, 0, len_max.min(at.len as usize)).ok_or(Error::NotModern)
        };
        Ok(Self {
            kind,
            common: window(common, COMMON_LEN)?,
            notify,
            interrupt: window(interrupt, 1)?,
            device: device.map(|device| window(device, DEVICE_LEN_MAX)).transpose()?,
            msi_x,
            queue_registers: [const { None }; QUEUES_MAX],
        })
    }

    fn select(&self, queue: u16) {
        self.common.write(QUEUE_SELECT, queue);
    }

    /// Finds the register by which the device is told of the selected queue.
    fn find_register(&mut self, queue: u16) -> bool {
        let offset = self.notify.notify_offset(self.common.read(QUEUE_NOTIFY_OFFSET));
        let register = self.queue_registers.get_mut(usize::from(queue));
        let (Some(offset), Some(register)) = (offset, register) else { return false };
        *register = Window::map(self.notify.address, offset, size_of::<u16>());
        register.is_some()
    }

    /// Lets the device interrupt for the selected queue, if it does so by messages.
    fn set_vector(&self) -> bool {
        if self.msi_x {
            self.common.write(QUEUE_VECTOR, 0_u16);
        }
        !self.msi_x || self.common.read::<u16>(QUEUE_VECTOR) != NO_VECTOR
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

    /// None at all for a queue that the device could not be told of, or not tell of: a card with
    /// one would seem to work and be silent.
    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        if !self.find_register(queue) {
            log::warn!("virtio queue {queue} cannot be notified");
            return 0;
        }
        if !self.set_vector() {
            log::warn!("virtio queue {queue} got no interrupt vector");
            return 0;
        }
        u32::from(self.common.read::<u16>(QUEUE_SIZE))
    }

    fn notify(&mut self, queue: u16) {
        if let Some(Some(register)) = self.queue_registers.get(usize::from(queue)) {
            register.write(0, queue);
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
