//! The time as smoltcp counts it.

use smoltcp::time::Instant;

/// A moment as smoltcp knows it.
pub fn instant(ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(ns / 1000).unwrap_or(i64::MAX))
}

/// The same as a number of nanoseconds.
pub fn ns(instant: Instant) -> u64 {
    u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(1000)
}
