//! Interrupts from outside, with the interval timer as the device.

use super::Bench;
use crate::arch::interrupt::{self, Arrived};
use crate::arch::vector::ACPI;
use crate::arch::{clock, ioapic};
use crate::boot::acpi;
use crate::platform::Signal;
use crate::platform::watch::Watch;
use limits::INTERRUPTS_UNSERVICED_MAX;

/// The interval timer's number on the old PC's bus, and how lines there signal.
const TIMER: u32 = 0;
const OLD_BUS: Signal = Signal { level: false, low: false };
/// How often it interrupts, and how long none must come when it is off.
const PERIOD_US: u64 = 100;
const QUIET_US: u64 = 50 * PERIOD_US;

/// Waits for an interrupt of [`ACPI`]'s vector, at most so long. Returns whether one came.
fn came_within_us(limit_us: u64) -> bool {
    let end_ns = clock::now_ns() + limit_us * 1000;
    loop {
        clock::set_alarm(end_ns);
        interrupt::halt();
        clock::clear_alarm();
        if Arrived::take().contains(ACPI) {
            return true;
        }
        if clock::now_ns() >= end_ns {
            return false;
        }
    }
}

pub fn switched_off(_: &mut Bench) {
    const WAIT_US: u64 = 10_000_000;
    let platform = acpi::read(None);
    assert!(platform.route(platform.line(TIMER, OLD_BUS), ACPI), "a PC has this line");
    clock::start_interval_timer(PERIOD_US);
    let mut watch = Watch::default();
    loop {
        assert!(came_within_us(WAIT_US), "the timer interrupts");
        if watch.unserviced(clock::now_ns()) {
            break;
        }
    }
    assert_eq!(watch.counts().unserviced, u64::from(INTERRUPTS_UNSERVICED_MAX) + 1);
    ioapic::mask(ACPI);
    // One may be under way.
    came_within_us(QUIET_US);
    assert!(!came_within_us(QUIET_US), "it is off");
}
