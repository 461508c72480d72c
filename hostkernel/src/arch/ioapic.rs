//! The I/O APIC: routes the interrupt lines of devices that have no message-signalled interrupts
//! (Intel 82093AA data sheet).

use crate::platform::Line;
use memory::kernel_map;
use memory::physical::PhysicalAddress;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
const REGISTER_VERSION: u32 = 0x01;
const REGISTER_REDIRECTION: u32 = 0x10;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;

/// What is read where nothing answers.
const NOTHING: u32 = u32::MAX;

/// Sends `line` to `vector` on the core with APIC id `target`. `address` and `first` are the I/O
/// APIC's registers and its first line. Returns whether the line is one of this I/O APIC's.
pub fn route(address: u32, first: u32, line: Line, vector: u8, target: u32) -> bool {
    let registers = kernel_map::device(PhysicalAddress(u64::from(address)), 4096);
    // SAFETY: ACPI or convention says that an I/O APIC is there; the mapping is valid for its page.
    let read = |register: u32| unsafe {
        registers.add(SELECT).cast::<u32>().write_volatile(register);
        registers.add(WINDOW).cast::<u32>().read_volatile()
    };
    // SAFETY: as above; only interrupt routing changes.
    let write = |register: u32, value: u32| unsafe {
        registers.add(SELECT).cast::<u32>().write_volatile(register);
        registers.add(WINDOW).cast::<u32>().write_volatile(value);
    };
    let version = read(REGISTER_VERSION);
    if version == NOTHING {
        return false;
    }
    let last = version >> 16 & 0xff;
    let Some(pin) = line.number.checked_sub(first).filter(|pin| *pin <= last) else {
        return false;
    };
    let mut low = u32::from(vector);
    if line.signal.level {
        low |= LEVEL;
    }
    if line.signal.low {
        low |= ACTIVE_LOW;
    }
    write(REGISTER_REDIRECTION + 2 * pin + 1, target << 24);
    write(REGISTER_REDIRECTION + 2 * pin, low);
    true
}
