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
    /// Shows the registers that begin so far behind a physical address. `None` if that is beyond
    /// what can be shown.
    pub fn map(address: u64, offset: u64, len: usize) -> Option<Self> {
        let start = PhysicalAddress(address.checked_add(offset)?);
        kernel_map::is_reachable(start, len)
            .then(|| Self { start: kernel_map::device(start, len), len })
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
