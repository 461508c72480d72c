//! I/O ports.

use x86_64::instructions::port::Port;

/// Reads a byte from a port.
///
/// # Safety
/// Reading the port has no effect that breaks memory safety; the caller knows the device.
#[must_use]
pub unsafe fn read_u8(port: u16) -> u8 {
    // SAFETY: the caller knows the device.
    unsafe { Port::new(port).read() }
}

/// Writes a byte to a port.
///
/// # Safety
/// As [`read_u8`].
pub unsafe fn write_u8(port: u16, value: u8) {
    // SAFETY: the caller knows the device.
    unsafe { Port::new(port).write(value) }
}

/// Reads a 16-bit word from a port.
///
/// # Safety
/// As [`read_u8`].
#[must_use]
pub unsafe fn read_u16(port: u16) -> u16 {
    // SAFETY: the caller knows the device.
    unsafe { Port::new(port).read() }
}

/// Writes a 16-bit word to a port.
///
/// # Safety
/// As [`read_u8`].
pub unsafe fn write_u16(port: u16, value: u16) {
    // SAFETY: the caller knows the device.
    unsafe { Port::new(port).write(value) }
}

/// Reads a 32-bit word from a port.
///
/// # Safety
/// As [`read_u8`].
#[must_use]
pub unsafe fn read_u32(port: u16) -> u32 {
    // SAFETY: the caller knows the device.
    unsafe { Port::new(port).read() }
}

/// Writes a 32-bit word to a port.
///
/// # Safety
/// As [`read_u8`].
pub unsafe fn write_u32(port: u16, value: u32) {
    // SAFETY: the caller knows the device.
    unsafe { Port::new(port).write(value) }
}
