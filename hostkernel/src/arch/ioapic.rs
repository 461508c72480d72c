//! The I/O APIC: routes the interrupt lines of devices that have no message-signalled interrupts
//! (Intel 82093AA data sheet).

use spin::Mutex;

use super::interrupt;
use super::vector;
use crate::platform::InterruptLine;
use limits::{IOAPICS_MAX, PAGE_LEN};
use memory::kernel_map;
use memory::physical::PhysicalAddress;

const SELECT: usize = 0x00;
const WINDOW: usize = 0x10;
const REGISTER_VERSION: u32 = 0x01;
const REGISTER_REDIRECTION: u32 = 0x10;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;
const MASKED: u32 = 1 << 16;
const VECTOR: u32 = 0xff;

/// What is read where nothing answers.
const NOTHING: u32 = u32::MAX;

/// The pins that lead to a vector. Taken by core 0 only.
static ROUTED: Mutex<Routed> = Mutex::new(Routed { pins: [None; ROUTED_MAX], len: 0 });
const ROUTED_MAX: usize = vector::SOURCES * IOAPICS_MAX;

struct Routed {
    pins: [Option<Pin>; ROUTED_MAX],
    len: usize,
}

/// One input of an I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pin {
    address: u32,
    number: u32,
}

impl Pin {
    fn read(self, register: u32) -> u32 {
        let registers = registers(self.address);
        // SAFETY: ACPI or convention says that an I/O APIC is there; the mapping is valid for its
        // page.
        unsafe {
            registers.add(SELECT).cast::<u32>().write_volatile(register);
            registers.add(WINDOW).cast::<u32>().read_volatile()
        }
    }

    fn write(self, register: u32, value: u32) {
        let registers = registers(self.address);
        // SAFETY: as above; only interrupt routing changes.
        unsafe {
            registers.add(SELECT).cast::<u32>().write_volatile(register);
            registers.add(WINDOW).cast::<u32>().write_volatile(value);
        }
    }

    fn low(self) -> u32 {
        REGISTER_REDIRECTION + 2 * self.number
    }
}

fn registers(address: u32) -> *mut u8 {
    kernel_map::device(PhysicalAddress(address.into()), PAGE_LEN)
}

/// Sends `line` to `vector` on the core with APIC id `target`. `address` and `first` are the I/O
/// APIC's registers and its first line. Returns whether the line is one of this I/O APIC's.
///
/// A line that leads to another vector already stays there: two devices share it, and each of the
/// two vectors is told of both from then on.
pub fn route(address: u32, first: u32, line: InterruptLine, vector: u8, target: u32) -> bool {
    let Some(number) = line.number.checked_sub(first) else { return false };
    let pin = Pin { address, number };
    let version = pin.read(REGISTER_VERSION);
    if version == NOTHING || number > version >> 16 & 0xff {
        return false;
    }
    let mut routed = ROUTED.lock();
    if routed.pins.contains(&Some(pin)) {
        let other = (pin.read(pin.low()) & VECTOR) as u8;
        if other != vector {
            log::info!("interrupt line {}: shared", line.number);
            interrupt::share(other, vector);
        }
        return true;
    }
    let mut low = u32::from(vector);
    if line.signal.level {
        low |= LEVEL;
    }
    if line.signal.low {
        low |= ACTIVE_LOW;
    }
    pin.write(pin.low() + 1, target << 24);
    pin.write(pin.low(), low);
    let len = routed.len;
    if let Some(place) = routed.pins.get_mut(len) {
        *place = Some(pin);
        routed.len += 1;
    }
    let trigger = if line.signal.level { "level" } else { "edge" };
    let polarity = if line.signal.low { "low" } else { "high" };
    log::debug!("interrupt line {}: {trigger}, active {polarity}", line.number);
    true
}

/// Switches the lines off that lead to `vector`. Messages of devices are not lines: who sends them
/// is told not to.
pub fn mask(vector: u8) {
    for pin in ROUTED.lock().pins.into_iter().flatten() {
        let low = pin.read(pin.low());
        if low & VECTOR == u32::from(vector) {
            pin.write(pin.low(), low | MASKED);
        }
    }
}
