//! What the machine itself says the time is: KVM's clock, else the battery-backed one.

use core::sync::atomic::{AtomicU8, Ordering};

use super::rtc;
use crate::arch::kvm_clock;

const NS_PER_S: u64 = 1_000_000_000;

/// Register of the battery-backed clock that holds the century; 0 if firmware names none.
static CENTURY: AtomicU8 = AtomicU8::new(0);

/// Notes what firmware says of the battery-backed clock.
pub fn initialise(century: Option<u8>) {
    CENTURY.store(century.unwrap_or(0), Ordering::Relaxed);
}

/// Nanoseconds since 1970-01-01 UTC, and who says so. For core 0 only; it may wait for the clock
/// chip, which renews its registers in 2 ms.
#[must_use]
pub fn told() -> Option<(u64, &'static str)> {
    let century = Some(CENTURY.load(Ordering::Relaxed)).filter(|register| *register != 0);
    let by_battery = || Some((rtc::unix_seconds(century)? * NS_PER_S, "the battery-backed clock"));
    kvm_clock::wall_ns().map(|ns| (ns, "the hypervisor")).or_else(by_battery)
}

/// The same without its source.
#[must_use]
pub fn wall_ns() -> Option<u64> {
    told().map(|(ns, _)| ns)
}
