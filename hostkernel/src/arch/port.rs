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

/// Fills `bytes` from a port that gives one at a time. Hypervisors take a long string at once.
///
/// # Safety
/// As [`read_u8`].
pub unsafe fn read_all_u8(port: u16, bytes: &mut [u8]) {
    // SAFETY: the caller knows the device; the instruction writes as many bytes as the slice has,
    // upwards, for the direction flag is clear in the kernel.
    unsafe {
        core::arch::asm!(
            "rep insb",
            in("dx") port,
            inout("rdi") bytes.as_mut_ptr() => _,
            inout("rcx") bytes.len() => _,
            options(nostack, preserves_flags),
        );
    }
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
