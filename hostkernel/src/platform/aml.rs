//! Two facts that live only in byte code: the sleep type of soft-off, and the devices of machines
//! without PCI. Both are constants in every table seen, so the code is searched for them and not
//! interpreted.

use super::{InterruptLine, Signal};

/// Hardware id of a virtio transport in memory.
pub const VIRTIO: &[u8; 8] = b"LNRO0005";
/// Hardware id of a generic event device.
pub const EVENT_DEVICE: &[u8; 8] = b"ACPI0013";
/// How far behind its id a device's resources are looked for.
const DEVICE_LEN_MAX: usize = 192;

/// `Name (_S5_, Package (n) { a, b, ... })`: the sleep types a and b.
#[must_use]
pub fn soft_off(byte_code: &[u8]) -> Option<(u8, u8)> {
    const NAME: &[u8] = b"_S5_\x12";
    let at = byte_code.windows(NAME.len()).position(|window| window == NAME)?;
    // Package length: the top two bits of the first byte count the bytes that follow; then the
    // number of elements.
    let package = byte_code.get(at + NAME.len()..)?;
    let length_bytes = usize::from(package.first()? >> 6) + 1;
    let elements = package.get(length_bytes + 1..)?;
    let (first, rest) = small_integer(elements)?;
    let second = small_integer(rest).map_or(first, |(second, _)| second);
    Some((first, second))
}

/// An AML integer of at most a byte, and what follows it.
fn small_integer(byte_code: &[u8]) -> Option<(u8, &[u8])> {
    const BYTE_PREFIX: u8 = 0x0a;
    match byte_code {
        [value @ 0..=1, rest @ ..] | [BYTE_PREFIX, value, rest @ ..] => Some((*value, rest)),
        _ => None,
    }
}

/// Devices with this hardware id and resources of the simplest kind: one 32-bit fixed memory range
/// or operation region, and one extended interrupt (ACPI 6.5, 6.4.3.6).
pub fn devices<'a>(
    byte_code: &'a [u8],
    hardware_id: &'a [u8; 8],
) -> impl Iterator<Item = (u64, InterruptLine)> + 'a {
    const MEMORY_32_FIXED: &[u8] = &[0x86, 0x09, 0x00];
    const EXTENDED_INTERRUPT: &[u8] = &[0x89, 0x06, 0x00];
    const EDGE: u8 = 1 << 1;
    const LOW: u8 = 1 << 2;
    let word =
        |bytes: &[u8]| bytes.get(..4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    let ids = byte_code.windows(8).enumerate().filter(move |(_, window)| window == hardware_id);
    ids.filter_map(move |(at, _)| {
        let rest = &byte_code[at + 8..(at + 8 + DEVICE_LEN_MAX).min(byte_code.len())];
        let find = |tag: &[u8]| rest.windows(tag.len()).position(|window| window == tag);
        // Interrupt descriptor: tag, flags, count, then the line.
        let interrupt = find(EXTENDED_INTERRUPT)? + EXTENDED_INTERRUPT.len();
        let flags = *rest.get(interrupt)?;
        let number = word(rest.get(interrupt + 2..)?)?;
        let address = match find(MEMORY_32_FIXED) {
            // Tag, read-write flag, then the address.
            Some(memory) => word(rest.get(memory + 4..)?)?,
            None => operation_region(rest)?,
        };
        let signal = Signal { level: flags & EDGE == 0, low: flags & LOW != 0 };
        Some((u64::from(address), InterruptLine { number, signal }))
    })
}

/// `OperationRegion (name, SystemMemory, address, ...)`.
fn operation_region(byte_code: &[u8]) -> Option<u32> {
    const OPERATION_REGION: &[u8] = &[0x5b, 0x80];
    const NAME_LEN: usize = 4;
    const DWORD_PREFIX: u8 = 0x0c;
    let at = byte_code.windows(2).position(|window| window == OPERATION_REGION)?;
    match byte_code.get(at + 2 + NAME_LEN..)? {
        [0, DWORD_PREFIX, a, b, c, d, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}
