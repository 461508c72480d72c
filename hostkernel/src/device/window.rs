//! Registers of a device in memory.

use zerocopy::{FromBytes, IntoBytes};

use memory::kernel_map;
use memory::physical::PhysicalAddress;

/// A range of registers.
pub struct Window {
    start: *mut u8,
    len: usize,
}

impl Window {
    /// Shows the registers at a physical address.
    pub fn map(address: u64, len: usize) -> Self {
        Self { start: kernel_map::device(PhysicalAddress(address), len), len }
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of a register. It may be written to like with [`write`](Self::write).
    pub fn register<T>(&self, offset: usize) -> *mut T {
        assert!(offset + size_of::<T>() <= self.len, "a register outside its window");
        self.start.wrapping_add(offset).cast()
    }

    /// Reads a register.
    pub fn read<T: FromBytes>(&self, offset: usize) -> T {
        // SAFETY: the register lies in the mapped window, where it is aligned as the device lays it
        // out; any bytes are a value.
        unsafe { self.register::<T>(offset).read_volatile() }
    }

    /// Writes a register.
    pub fn write<T: IntoBytes>(&self, offset: usize, value: T) {
        // SAFETY: as in `read`. What the device may touch is in the addresses of its queues, which
        // its driver takes from memory that is the device's alone.
        unsafe { self.register::<T>(offset).write_volatile(value) };
    }
}
